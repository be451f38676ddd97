"""`python -m vector_universe.cli`, the same as `vu`."""

from vector_universe.cli.main import main

main()
