"""Text and video features, triplets and zero-shot recognition of T-MOR (arXiv 2606.21607)."""
