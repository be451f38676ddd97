"""The map: places, and regions with names."""
