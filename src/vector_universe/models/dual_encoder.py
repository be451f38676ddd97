"""`DualEncoder`: an image tower and a text tower that meet in one space."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from vector_universe.errors import UserError
from vector_universe.models.calibration import Calibration, store_calibration
from vector_universe.models.configuration import FUSION_SETTINGS, DualEncoderConfig
from vector_universe.models.fingerprint import fingerprint_of
from vector_universe.models.fusion import FusionHead, FusionHeadConfig
from vector_universe.models.fusion_inputs import INPUTS, fuse_by_mean
from vector_universe.models.image_encoder import ImageEncoder
from vector_universe.models.initialise import initialise
from vector_universe.models.post_processing import PostProcessing
from vector_universe.models.precision import autocast
from vector_universe.models.pretrained import Parts, Source, build_towers, join_towers, load_tokenizer, load_whole
from vector_universe.models.source import HUB_ARGUMENTS, explained, read_config, refuse_misfit
from vector_universe.models.texts import by_length, pad, tokenize
from vector_universe.models.tokenizer import train_tokenizer
from vector_universe.models.towers import Side, TowerParts, Towers, find_parts

if TYPE_CHECKING:
    from vector_universe.models.adaptation import Adapted


class DualEncoder(ImageEncoder):
    """Images and texts in one space: two towers, projections, a learned temperature (CLIP, Radford et al. 2021).

    Made in one of three ways: `from_pretrained` (our own models, CLIP, SigLIP and models shaped like them),
    `from_towers` (any vision model with any text model), `from_scratch` (small towers, a tokenizer of one's own).
    Embeddings are L2-normalised rows of width D = `config.embedding_width`. `embed_…` takes the towers' products in
    bf16 where the hardware multiplies it (cosine to float32 above .999), `encode_…` in the type of the weights. The
    model carries its own preparation of pictures (`framing`) and its tokenizer, and saves and loads as any
    `transformers` model does.

    Attributes:
        towers: what is inside; see `Towers`.
        tokenizer: turns texts into token ids.
        fusion: makes one vector of an image, its title and its burnt-in text; None where the model has learned none.
        post_processing: centres or whitens what the towers give, as part of `encode_…`; None where nothing does.
        calibration: what its cosines mean, measured on data; None where nobody has measured.
        adapted: what `adapt` did to the model; None for a plain one.
    """

    config: DualEncoderConfig
    config_class = DualEncoderConfig
    base_model_prefix = "dual_encoder"
    supports_gradient_checkpointing = True

    def __init__(self, config: DualEncoderConfig, towers: Towers | None = None) -> None:
        super().__init__(config)
        config.check()
        self.towers = towers or build_towers(config)
        self.fusion = None if config.fusion is None else FusionHead(
            FusionHeadConfig(width=config.embedding_width, **config.fusion))
        self.post_processing = None if config.post_processing is None else PostProcessing(
            width=config.embedding_width, **config.post_processing)
        self.calibration: Calibration | None = None
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self.adapted: Adapted | None = None
        self.post_init()  # new weights alone: transformers knows those that were loaded
        for name, part in self.named_modules():  # it looks for shared weights (T5's) in direct children alone
            if name and isinstance(part, PreTrainedModel):
                self.all_tied_weights_keys |= {f"{name}.{tied}": f"{name}.{source}"
                                               for tied, source in part.all_tied_weights_keys.items()}

    # ---- making, saving ----

    @classmethod
    def from_scratch(cls, texts: Sequence[str], config: DualEncoderConfig) -> DualEncoder:
        """A new model with random weights whose tokenizer is learned from `texts`; sets `config.vocab_size`."""
        config.check()
        tokenizer = train_tokenizer(texts, config.max_text_tokens)
        config.vocab_size = len(tokenizer)
        model = cls(config)
        model.tokenizer = tokenizer
        return model

    @classmethod
    def from_towers(cls, image: Source, text: Source, *, projection: Literal["linear", "mlp"] = "linear",
                    width: int = 512, dropout: float = 0.0, max_text_tokens: int | None = None,
                    text_pooling: Literal["auto", "own", "cls", "mean", "eos"] = "auto", image_size: int | None = None,
                    tokenizer: PreTrainedTokenizerBase | None = None,
                    texts: Sequence[str] | None = None) -> DualEncoder:
        """Join any vision model with any text model by new projections.

        B's model: `from_towers("microsoft/resnet-50", "distilbert-base-uncased", projection="mlp", width=256,
        dropout=0.1, max_text_tokens=200)`. CLIP's, from random weights: `from_towers(ViTConfig(), CLIPTextConfig(),
        texts=texts)`.

        Args:
            image: a vision `AutoModel` by hub name or folder, or its config for random weights; "convnet" or "vit"
                is one of our own. Of a CLIP, its image tower.
            text: a text `AutoModel`, likewise; "bag_of_words" or "transformer" is one of our own.
            projection: "linear" (CLIP), or "mlp" (two layers, residual, LayerNorm).
            width: D, the width of the shared space.
            dropout: in the "mlp" projection.
            max_text_tokens: longer texts are cut; by itself what the text tower can read.
            text_pooling: what stands for a text: [CLS], the mean, the last token, or the model's own pooled output;
                "auto" is what the model was trained with.
            image_size: side of the pictures in pixels; by itself what the image tower was trained with.
            tokenizer: for text towers without one of their own.
            texts: to learn a tokenizer from, where there is none.

        Raises:
            UserError: a model is not found or of no known kind, its files do not fit, or there is no tokenizer.
        """
        return cls._of(join_towers(image, text, projection=projection, width=width, dropout=dropout,
                                   max_text_tokens=max_text_tokens, text_pooling=text_pooling, image_size=image_size,
                                   tokenizer=tokenizer, texts=texts))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike | None, *model_args: Any,
                        **kwargs: Any) -> DualEncoder:
        """Load a model with its tokenizer, in evaluation mode: one of ours, a CLIP, a SigLIP, or one shaped like them.

        Args:
            pretrained_model_name_or_path: a folder, or a name on the Hugging Face hub.
            model_args, kwargs: as of any `transformers` model (revision, token, dtype…). Weights are read from
                safetensors only, and in float32 unless `dtype` says otherwise.

        Raises:
            UserError: there is no such model, it is of another kind, or its files do not fit each other.
        """
        name = str(pretrained_model_name_or_path)
        hub = {key: kwargs.pop(key) for key in HUB_ARGUMENTS if key in kwargs}
        settings = read_config(name, hub)
        if settings["model_type"] != DualEncoderConfig.model_type:
            return cls._of(load_whole(name, settings, hub, kwargs)).eval()
        with explained(name):
            loaded: Any = super().from_pretrained(name, *model_args, **kwargs | hub | {
                "use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True})
            model, report = loaded
            model.tokenizer = load_tokenizer(name, hub)
        model.calibration = Calibration.read(name, hub)
        refuse_misfit(name, report)
        return model

    def save_pretrained(self, save_directory: str | PathLike, *args: Any, **kwargs: Any) -> None:
        """Save weights (safetensors), config and tokenizer, as `transformers` does; and the calibration, if any."""
        super().save_pretrained(save_directory, *args, **kwargs)
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(save_directory)
        store_calibration(self.calibration, save_directory)

    # ---- embedding ----

    def encode_images(self, pixel_values: Tensor) -> Tensor:
        """Embed normalised pixels (B, 3, S, S) as unit rows (B, D)."""
        rows_BD = F.normalize(self.towers.image_features(pixel_values.to(self.dtype)).float(), dim=-1)
        return rows_BD if self.post_processing is None else self.post_processing(rows_BD, "image")

    def encode_texts(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Embed token ids (B, L) with their mask as unit rows (B, D)."""
        rows_BD = F.normalize(self.towers.text_features(input_ids, attention_mask).float(), dim=-1)
        return rows_BD if self.post_processing is None else self.post_processing(rows_BD, "text")

    def forward(self, pixel_values: Tensor, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embed a batch of pairs: unit rows (B, D) of the images and of the texts."""
        return self.encode_images(pixel_values), self.encode_texts(input_ids, attention_mask)

    @property
    def logit_scale(self) -> Tensor:
        """Scalar t, learned; cosines are multiplied by exp(t), the inverse temperature."""
        return self.towers.logit_scale.reshape(())

    @property
    def logit_bias(self) -> Tensor | None:
        """Scalar, learned, that is added to scaled cosines (SigLIP); None where the model has none."""
        return None if self.towers.logit_bias is None else self.towers.logit_bias.reshape(())

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask (B, L), padded to the longest text of the batch alone, or as trained."""
        return self._padded(tokenize(self._tokenizer(), texts, self.config.max_text_tokens).rows)

    def count_cut(self, texts: Sequence[str]) -> int:
        """How many of `texts` are longer than the model reads (`config.max_text_tokens`)."""
        return tokenize(self._tokenizer(), texts, self.config.max_text_tokens).cut

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """Embed texts as float32 unit rows (N, D); texts of like length share a batch.

        Warns, with their number, when some are longer than the model reads.
        """
        found = tokenize(self._tokenizer(), texts, self.config.max_text_tokens)
        if found.cut:
            warnings.warn(f"{found.cut} of {len(texts)} texts ({found.cut / len(texts):.1%}) are longer than the "
                          f"{self.config.max_text_tokens} tokens that the model reads: the rest of them is cut off",
                          stacklevel=3)  # 1: here, 2: torch.inference_mode
        rows = np.empty((len(texts), self.config.embedding_width), np.float32)
        with autocast(self):  # around all batches: weights are cast once
            for places in by_length(found.rows, batch_size):
                rows[places] = self.encode_texts(*self._padded([found.rows[place] for place in places])).cpu().numpy()
        return rows

    # ---- fusion ----

    def add_fusion(self, kind: Literal["concat", "gated", "bilinear"] = "gated", hidden_width: int = 256,
                   rank: int = 64) -> FusionHead:
        """Give the model a new fusion head, in place of one that it may have; a new one gives the mean.

        Raises:
            UserError: the kind is unknown, or a size is not positive.
        """
        head = FusionHead(FusionHeadConfig(kind=kind, width=self.config.embedding_width, hidden_width=hidden_width,
                                           rank=rank))
        self.set_fusion(head)
        return head

    def set_fusion(self, head: FusionHead | None) -> None:
        """Make a head part of the model, on its device and in its type; None takes the model's own away.

        Raises:
            UserError: the head is of another width, or the model's vectors are post-processed.
        """
        if head is not None and self.post_processing is not None:
            raise UserError(f"the model's vectors go through {self.post_processing.describe()}, and a fusion head is "
                            "trained on plain ones: take it off first, set_post_processing(None)")
        width = self.config.embedding_width
        if head is not None and head.config.width != width:
            raise UserError(f"the fusion head is of width {head.config.width}, and the model embeds in {width} "
                            "dimensions: train the head on vectors of this model")
        self.fusion = None
        if head is not None:
            nn.Module.to(head, self.device, self.dtype)
            self.fusion = head.train(self.training)
        self.config.fusion = None if head is None else {name: getattr(head.config, name) for name in FUSION_SETTINGS}

    def fuse_vectors(self, image_ND: np.ndarray | None = None, title_ND: np.ndarray | None = None,
                     ocr_ND: np.ndarray | None = None) -> np.ndarray:
        """One vector for each image with its title and burnt-in text: float32 unit rows (N, D).

        By the fusion head; without one, the normalised mean of what is there.

        Args:
            image_ND: unit rows of the images, as of `embed_images`; a row of zeros is missing; None if all are.
            title_ND, ocr_ND: the same of titles, and of the text read off the images.

        Raises:
            ValueError: nothing is given, shapes do not match, a row is neither of length 1 nor zeros, or a row has no
                input at all.
        """
        if self.fusion is not None:
            return self.fusion.fuse(image_ND, title_ND, ocr_ND)
        return fuse_by_mean({name: rows_ND for name, rows_ND in zip(INPUTS, (image_ND, title_ND, ocr_ND), strict=True)
                             if rows_ND is not None})

    # ---- after the towers ----

    def set_post_processing(self, found: PostProcessing | None) -> None:
        """Make a post-processing part of the model, on its device and in its type; None takes the model's own away.

        What was known of its cosines, the calibration, goes: they are others now.

        Raises:
            UserError: the model has a fusion head, which was trained on plain vectors; or the widths differ.
        """
        width = self.config.embedding_width
        if found is not None and self.fusion is not None:
            raise UserError("the model has a fusion head, which was trained on vectors without post-processing: take "
                            "the head off first, set_fusion(None), or leave the vectors as they are")
        if found is not None and found.width != width:
            raise UserError(f"the post-processing is of width {found.width}, and the model embeds in {width} "
                            "dimensions: fit it on vectors of this model")
        if found is not self.post_processing:
            self.calibration = None
        self.post_processing = None if found is None else found.to(self.device, self.dtype).train(self.training)
        self.config.post_processing = None if found is None else found.settings

    # ---- what it is made of ----

    def parts(self, side: Side) -> TowerParts:
        """Names of the modules of the "image" or "text" side, for adaptation: tower, blocks, and what follows them."""
        tower, projections = self.towers.modules_of(side)
        return find_parts(self, f"towers.{tower}", [f"towers.{name}" for name in projections])

    def train(self, mode: bool = True) -> DualEncoder:
        """Set training mode, as of every `ImageEncoder`.

        A tower of which nothing learns stays as in evaluation: dropout in it would be noise alone.
        """
        super().train(mode)
        for side in ("image", "text"):
            tower = self.towers.get_submodule(self.towers.modules_of(side)[0])
            if not any(weight.requires_grad for weight in tower.parameters()):
                tower.eval()
        return self

    def fingerprint(self) -> str:
        """A hash of config, tokenizer and weights: two models with the same one give the same vectors."""
        return fingerprint_of(self.config, self.tokenizer, self.state_dict())

    def tower_fingerprint(self) -> str:
        """The fingerprint that the model has, or would have, without a fusion head and post-processing."""
        return fingerprint_of(self.config, self.tokenizer, {name: weight for name, weight in self.state_dict().items()
                                                            if not name.startswith(("fusion.", "post_processing."))})

    @classmethod
    def _of(cls, parts: Parts) -> DualEncoder:
        model = cls(parts.config, parts.towers)
        model.tokenizer = parts.tokenizer
        return model

    def _tokenizer(self) -> PreTrainedTokenizerBase:
        assert self.tokenizer is not None, "a DualEncoder without tokenizer embeds token ids only"
        return self.tokenizer

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        length = self.config.max_text_tokens if self.config.pad_texts_to_max else None
        ids_BL, mask_BL = pad(self._tokenizer(), rows, length)
        return ids_BL.to(self.device), mask_BL.to(self.device)

    def _init_weights(self, module: nn.Module) -> None:
        initialise(module, self.config)


AutoConfig.register(DualEncoderConfig.model_type, DualEncoderConfig)  # lets AutoTokenizer read a folder of ours
