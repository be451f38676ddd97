"""The Universe: a searchable, mapped collection of images together with the model that embedded it."""

from vector_universe.index.matches import Hit, MapPoints
from vector_universe.index.universe import Universe

__all__ = ["Hit", "MapPoints", "Universe"]
