"""The commands beside the target itself."""
