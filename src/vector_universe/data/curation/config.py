"""What a curation is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vector_universe.errors import UserError

MOST_QUERIES = 500_000


@dataclass(frozen=True)
class CurationConfig:
    """How pairs are balanced. Everything but `processes` decides what is kept."""

    queries: Path | None = None
    """File with one query a line, up to 500,000; unset: the list is built from the texts, and written."""
    cap: int = 20_000
    """Most pairs that one query may bring in."""
    substring: bool = False
    """Let queries match inside words ("cat" in "education"), as languages without spaces need; else whole words."""
    seed: int = 0
    """Another seed keeps other pairs where there are too many."""
    text_columns: tuple[str, ...] = ()
    """Columns of texts; unset: title, caption, text and texts, as far as there are such columns."""
    id_column: str | None = None
    """Column that names each pair; unset: id or key, and without them the image's file name or URL with the texts."""
    min_count: int = 100
    """For a list built from the texts: how many times a word, a pair of words or a whole text must occur."""
    min_pmi: float = 6.0
    """For a list built from the texts: least pointwise mutual information of two neighbouring words, in bits."""
    processes: int | None = None
    """Processes at work; unset: one a core. The result is the same."""

    def check(self) -> None:
        """Raises UserError for settings that make no sense."""
        if self.cap < 1:
            raise UserError(f"--cap {self.cap} would keep nothing: give 1 or more")
        if self.min_count < 1:
            raise UserError(f"--min-count {self.min_count} is no number of times: give 1 or more")
        if self.processes is not None and self.processes < 1:
            raise UserError(f"--processes {self.processes} cannot work: give 1 or more")
        if not 0 <= self.seed < 2**64:
            raise UserError(f"--seed {self.seed} is out of range: give a whole number from 0 on")
