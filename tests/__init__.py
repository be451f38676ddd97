"""Tests. They compute as on a processor without bf16, whatever this one has: their figures are the same on all."""

import os

os.environ.setdefault("ATEN_CPU_CAPABILITY", "avx2")  # read by torch when it first asks what the processor can do
