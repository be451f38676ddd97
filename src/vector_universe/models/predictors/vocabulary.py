"""The words that a predictor knows, learned from its training texts.

A word is a run of letters, marks and digits, in NFKC and lower case; all else separates words. Scripts that write no
spaces give long runs: a captioner, which reads bytes, suits them better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from vector_universe.errors import UserError

UNKNOWN, UNKNOWN_ID = "[UNK]", 0
MANY_TEXTS = 10_000  # above, a word that was seen once is not worth a place
_NORMALISER = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
_WORDS = pre_tokenizers.Split(Regex(r"[\p{L}\p{M}\p{N}]+"), behavior="removed", invert=True)


def learn_words(texts: Sequence[str], min_count: int | None = None, limit: int = 20_000) -> PreTrainedTokenizerFast:
    """A tokenizer that turns a text into the ids of its words: 0 for words that are not known, from 1 by frequency.

    Args:
        texts: what to learn from.
        min_count: how often a word must occur; None is 1 up to 10,000 texts, 2 above.
        limit: the most words; the most frequent stay.

    Raises:
        UserError: the texts have fewer than two words that are frequent enough.
    """
    wanted = min_count or (2 if len(texts) > MANY_TEXTS else 1)
    counts = Counter(chain.from_iterable(split_words(texts)))
    kept = sorted((word for word, count in counts.items() if count >= wanted), key=lambda word: (-counts[word], word))
    if len(kept) < 2:
        found = f"one word alone, {kept[0]!r}," if kept else "no word"
        raise UserError(f"the training texts have {found} to predict"
                        + (f" that occurs {wanted} times" if wanted > 1 else "")
                        + ": two words at least are needed to tell pictures apart; give them titles, or take a recipe "
                        "that learns from labels")
    vocabulary = {UNKNOWN: UNKNOWN_ID} | {word: number for number, word in enumerate(kept[:limit], 1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, UNKNOWN))
    tokenizer.normalizer, tokenizer.pre_tokenizer = _NORMALISER, _WORDS
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=UNKNOWN)


def split_words(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text, known or not."""
    normalise, split = _NORMALISER.normalize_str, _WORDS.pre_tokenize_str
    return [[word for word, _ in split(normalise(text))] for text in texts]


def word_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """The ids of each text's words, `UNKNOWN_ID` where a word is not known."""
    return tokenizer(list(texts), verbose=False)["input_ids"] if texts else []


def padded(rows: Sequence[Sequence[int]]) -> Tensor:
    """Rows of whole numbers as one int64 matrix (B, K), K ≥ 1, filled up with -1."""
    filled_BK = torch.full((len(rows), max(map(len, rows), default=0) or 1), -1)
    for number, row in enumerate(rows):
        filled_BK[number, :len(row)] = torch.tensor(row, dtype=torch.long)
    return filled_BK
