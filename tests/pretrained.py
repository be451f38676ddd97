"""Pretrained models in small: real classes of transformers with random weights, saved as people find them."""

from __future__ import annotations

import gzip
from pathlib import Path

import torch
from transformers import (
    AltCLIPConfig,
    AltCLIPModel,
    ChineseCLIPConfig,
    ChineseCLIPModel,
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    SiglipConfig,
    SiglipModel,
)

LAYERS = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
VISION = LAYERS | {"image_size": 32, "patch_size": 8}
REAL_VOCABULARY = Path(__file__).parents[2] / "shared/data/clip-facts/bpe_simple_vocab_16e6.txt.gz"


def tiny_tokenizer(**settings) -> CLIPTokenizer:
    """CLIP's tokenizer with letters alone for words."""
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=[], **settings)


def real_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer, from the vocabulary that its authors published."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode
    with gzip.open(REAL_VOCABULARY, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    merges = [tuple(line.split()) for line in lines[1:49152 - 256 - 2 + 1]]
    letters = list(bytes_to_unicode().values())
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *map("".join, merges),
              "<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: number for number, token in enumerate(tokens)}, merges=merges,
                         model_max_length=77)


def tiny_model(kind: str, tokenizer: CLIPTokenizer):
    """A model of the kind "clip", "siglip", "chinese_clip" or "altclip"."""
    torch.manual_seed(0)
    text = LAYERS | {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id,
                     "bos_token_id": tokenizer.bos_token_id, "pad_token_id": 1}
    if kind == "clip":
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=24))
    elif kind == "siglip":
        model = SiglipModel(SiglipConfig(text_config=text | {"max_position_embeddings": 20}, vision_config=VISION))
    elif kind == "chinese_clip":
        model = ChineseCLIPModel(ChineseCLIPConfig(text_config=text, vision_config=VISION, projection_dim=24))
    else:
        model = AltCLIPModel(AltCLIPConfig(text_config=text | {"project_dim": 16, "max_position_embeddings": 50},
                                           vision_config=VISION, projection_dim=24))
    with torch.no_grad():  # biases and norms too, so that a part that is left out is seen
        for weight in model.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
        for module in model.modules():  # Chinese-CLIP's padding token is set to zero whenever it is loaded
            if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx] = 0
    return model.eval()


def save_tiny(kind: str, folder: Path, tokenizer: CLIPTokenizer | None = None):
    """Save such a model with its tokenizer in a folder; returns the model."""
    tokenizer = tokenizer or tiny_tokenizer()
    model = tiny_model(kind, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model
