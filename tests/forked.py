"""Processes for tests: forked from one that has imported what takes seconds, and has not touched Lance, whose threads
would be lost by a fork."""

from __future__ import annotations

import multiprocessing

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.universe_folders", "vector_universe.index.labels.labelling",
                                "vector_universe.evaluate", "tests.served", "vector_universe.serve.app",
                                "vector_universe.serve.guard.connections", "vector_universe.serve.served.reload"])
