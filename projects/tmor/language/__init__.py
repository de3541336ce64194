"""Text and video beside the motion (arXiv 2606.21607): features, triplets, zero-shot."""
