"""What holds for every test of an objective."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="module")
def _one_thread(one_thread: None) -> None:
    """All of them compute with tensors of a few rows."""
