"""Embedding beyond one process: parts by many workers, one commit."""
