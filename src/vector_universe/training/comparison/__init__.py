"""Comparison: the same pictures, order and image tower by several objectives, and how many pictures each needs."""
