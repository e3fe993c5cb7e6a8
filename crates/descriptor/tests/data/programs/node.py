"""A node for the checker to find."""
