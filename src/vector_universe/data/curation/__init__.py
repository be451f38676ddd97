"""Balancing pairs of images and texts by a list of queries: at most so many pairs for each, exactly."""
