"""A generator that turns a text's embedding into a picture, and the discriminator that it learns from."""

from vector_universe.models.gan.configuration import GeneratorConfig
from vector_universe.models.gan.discriminator import Discriminator
from vector_universe.models.gan.generator import Generator

__all__ = ["Discriminator", "Generator", "GeneratorConfig"]
