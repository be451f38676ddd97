"""The command `vu`: each verb parses, calls one function of a room, and prints; no logic."""

from vector_universe.cli.main import main

__all__ = ["main"]
