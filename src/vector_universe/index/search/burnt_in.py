"""Words in the text that is burnt into pictures: which items hold all that are asked for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from vector_universe.errors import UserError


class BurntInText:
    """The burnt-in texts of N items, in memory, compared word by word: no index, no query language.

    A word is found whole, whatever its case and width: "react" in "REACT.js", not in "reaction". In scripts without
    capitals (Korean, Japanese, Chinese, Thai, …), which join words and particles, it is also found inside of others.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [_plain(text) for text in texts]

    def rows(self, words: str) -> list[int]:
        """The rows that hold every one of the words, most occurrences first, then in row order.

        Raises:
            UserError: no item has any burnt-in text, or there is no word.
        """
        if not any(self._texts):
            raise UserError("no item of this universe has burnt-in text: read it off the pictures with "
                            "`vu index … --ocr`")
        patterns = [_pattern(word) for word in dict.fromkeys(_plain(words).split())]
        if not patterns:
            raise UserError("there is no word to look for in burnt-in text: give at least one")
        counts = [[len(pattern.findall(text)) for pattern in patterns] for text in self._texts]
        found = [row for row, count in enumerate(counts) if all(count)]
        return sorted(found, key=lambda row: -sum(counts[row]))


def _plain(text: str) -> str:
    """Compatible forms of letters made one (full width, composed Korean), and case put aside."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _pattern(word: str) -> re.Pattern[str]:
    before = r"(?<!\w)" if _ends_at_a_boundary(word[0]) else ""
    after = r"(?!\w)" if _ends_at_a_boundary(word[-1]) else ""
    return re.compile(before + re.escape(word) + after)


def _ends_at_a_boundary(letter: str) -> bool:
    """Whether a word with this letter at its edge ends there: letters with case do, and digits."""
    return letter.isalnum() and unicodedata.category(letter) not in ("Lo", "Lm")
