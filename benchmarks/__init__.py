"""Figures that anyone can measure again: `python -m benchmarks.NAME [--quick]`.

A table goes to stderr, and to stdout one JSON object a line: {"case": …, "metric": …, "value": …}.
"""
