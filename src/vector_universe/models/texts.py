"""Texts as token ids: cut at the model's limit, batched by length, padded as the model was trained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class TokenizedTexts:
    """Token ids of N texts, and how many of the texts were cut."""

    rows: list[list[int]]
    cut: int


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int) -> TokenizedTexts:
    """Tokenize without padding; what is longer than `max_tokens` is cut and keeps its end token."""
    if not texts:
        return TokenizedTexts([], 0)
    rows = tokenizer(list(texts), verbose=False)["input_ids"]
    long = [place for place, row in enumerate(rows) if len(row) > max_tokens]
    if long:
        cut = tokenizer([texts[place] for place in long], truncation=True, max_length=max_tokens)["input_ids"]
        for place, row in zip(long, cut, strict=True):
            rows[place] = row
    if not all(rows):  # a tokenizer without end token makes nothing of an empty text
        filler = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.pad_token_id
        rows = [row or [filler] for row in rows]
    return TokenizedTexts(rows, len(long))


def pad(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[int]],
        length: int | None = None) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask (B, L).

    Args:
        tokenizer: knows the padding token.
        rows: token ids of each text.
        length: L, padded on the tokenizer's own side; with None the longest row, padded on the right.
    """
    left = length is not None and tokenizer.padding_side == "left"
    width = length or max(len(row) for row in rows)
    ids_BL = torch.full((len(rows), width), tokenizer.pad_token_id or 0)
    mask_BL = torch.zeros(len(rows), width, dtype=torch.long)
    for number, row in enumerate(rows):
        place = slice(width - len(row), None) if left else slice(len(row))
        ids_BL[number, place] = torch.tensor(row)
        mask_BL[number, place] = 1
    return ids_BL, mask_BL


def by_length(rows: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Places of the texts in batches of like length, so that short texts are not padded to long ones."""
    order = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    for start in range(0, len(order), batch_size):
        yield order[start:start + batch_size]
