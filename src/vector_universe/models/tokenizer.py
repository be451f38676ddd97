"""A tokenizer learned from the data's own texts: byte-level BPE, so that no text of any language is unknown."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD, END = "[PAD]", "[EOS]"
PAD_ID, END_ID = 0, 1  # special tokens come first, in this order


def train_tokenizer(texts: Iterable[str], max_tokens: int, vocab_size: int = 8192) -> PreTrainedTokenizerFast:
    """Learn at most `vocab_size` tokens from `texts` (lower-cased, NFKC); every encoded text ends with [EOS]."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, min_frequency=2, special_tokens=[PAD, END],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, tokenizer.token_to_id(END))])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END,
                                   model_max_length=max_tokens, padding_side="right", truncation_side="right")
