"""Search by the words of titles and texts, in any language: a column of words, and Lance's index over it.

Lance's own tokenizers do not do: "simple" takes a Korean word with its particle, or a whole Japanese sentence, for one
word; "icu" finds the words of Chinese and Japanese, but not a part of a Korean one; "ngram" takes "art" for a part of
"start"; and stemming and stop words are those of one language. So the words are found here, written into a column, and
found again in the same way in what a user types, of which no letter is ever an operator.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lancedb.table import Table

WORDS = "words"
_LONGEST = 40  # letters of a word; what is longer is no word of a language, and would only swell the index
_MOST_WORDS = 64  # of a query

# Letters with their marks, and digits. What is written without spaces between words, or joins words to particles:
# Chinese characters, Japanese kana, Korean, Thai, Lao, Burmese, Khmer.
_RUN = re.compile(r"[^\W_]+(?:[\u0900-\u0dff\u1dc0-\u1dff]+[^\W_]*)*")
_UNSPACED = ("\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf"
             "\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff")
_PARTS = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_UNSPACED_LETTER = re.compile(f"[{_UNSPACED}]")
_ACCENTS = re.compile("[\u0300-\u036f]")


def words_of(texts: Iterable[str]) -> str:
    """What stands in the column `words` of an item with these texts: its words, with a space between.

    Of runs of letters in scripts that put no space between words, every letter and every pair of neighbours is a word,
    so that any part of such a run can be looked for.
    """
    return " ".join(word for text in dict.fromkeys(texts) for run in _runs(text) for word in _indexed(run))


def create_text_index(table: Table) -> None:
    """Index the column `words`; rows added later are found too, only more slowly, until the table is optimised."""
    from lancedb.index import FTS

    # What `words_of` has separated by spaces is taken as it stands.
    table.create_index(WORDS, config=FTS(base_tokenizer="whitespace", lower_case=False, stem=False,
                                         remove_stop_words=False, ascii_folding=False, max_token_length=None))


def text_matches(table: Table, text: str, k: int, where: str | None = None) -> list[int]:
    """Lance's row ids of the `k` items that best match the words of a text (BM25), best first.

    One word is enough to match; rare words count for more. Of a run of letters in a script without spaces, all of its
    pairs of neighbours must be there. Equal scores stand by row id.

    Args:
        table: with a column `words`, as of `words_of`, and its index.
        text: anything; none of it is an operator. The first 64 words count.
        k: at least 1.
        where: a condition that is applied first, as of `to_sql`.
    """
    from lancedb.query import BooleanQuery, FullTextOperator, MatchQuery, Occur

    # Each as what all must stand in a match together.
    groups = list(dict.fromkeys(" ".join(_asked(run)) for run in _runs(text)))[:_MOST_WORDS]
    if not groups:
        return []
    asked = BooleanQuery([
        (Occur.SHOULD, MatchQuery(group, WORDS, operator=FullTextOperator.AND))  # type: ignore[call-arg]  # has defaults
        for group in groups])
    search = table.search(asked).select(["id", "_score"]).with_row_id(True).limit(k)
    if where is not None:
        search = search.where(where, prefilter=True)
    found = search.to_arrow()
    rows = zip(found["_rowid"].to_pylist(), found["_score"].to_pylist(), strict=True)
    return [row for row, _ in sorted(rows, key=lambda pair: (-pair[1], pair[0]))]


def _runs(text: str) -> list[str]:
    """Words, and runs of letters of scripts without spaces: compatible forms made one, without case and accents."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # Accents alone: what else are marks to Unicode are vowels in India and consonants in Japan.
    plain = unicodedata.normalize("NFC", _ACCENTS.sub("", unicodedata.normalize("NFD", plain)))
    return [part for run in _RUN.findall(plain) for part in _PARTS.findall(run)]


def _indexed(run: str) -> Sequence[str]:
    if not _UNSPACED_LETTER.match(run):
        return [run[:_LONGEST]]
    return [*run, *_pairs(run)]


def _asked(run: str) -> Sequence[str]:
    if not _UNSPACED_LETTER.match(run):
        return [run[:_LONGEST]]
    return _pairs(run) or [run]


def _pairs(run: str) -> list[str]:
    return [run[place:place + 2] for place in range(len(run) - 1)]
