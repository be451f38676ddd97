"""The HTTP API and the page, on this machine or, with a token, beyond."""

from vector_universe.serve.app import create_app
from vector_universe.serve.run import serve

__all__ = ["create_app", "serve"]
