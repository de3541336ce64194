"""Checkpoints, published folders and the model zoo, read safely; import the modules."""
