"""The table of a universe: where it lies, its columns and rows, its generations and the notes beside it."""
