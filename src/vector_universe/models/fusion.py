"""`FusionHead`: the vectors of an image, its title and the text burnt into it become one vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers import initialization as init

from vector_universe.errors import UserError
from vector_universe.models.fusion_inputs import (
    INPUTS,
    ROWS_AT_ONCE,
    as_inputs,
    check_arrays,
    mean_inputs,
    stack_inputs,
    unit_rows,
)

KINDS = ("concat", "gated", "bilinear")


class FusionHeadConfig(PretrainedConfig):
    """Settings of a `FusionHead`.

    Args:
        kind: "concat", "gated" or "bilinear".
        width: D of the embeddings.
        hidden_width: of the hidden layer of "concat" and "gated".
        rank: R of the products of "bilinear".
    """

    model_type = "vector_universe_fusion_head"

    def __init__(self, kind: str = "gated", width: int = 256, hidden_width: int = 256, rank: int = 64,
                 **hugging_face: Any) -> None:
        self.kind = kind
        self.width = width
        self.hidden_width = hidden_width
        self.rank = rank
        super().__init__(**hugging_face)  # the base class's own settings, as transformers asks of every config


class FusionHead(PreTrainedModel):
    """X = f(image, title, ocr): unit rows in, unit rows of the same space out.

    With the inputs x_m that are present, out of image, title and OCR text:

        concat     X = unit(mean_m x_m + MLP([x_1, x_2, x_3]) / √(H·D))
        gated      X = unit(Σ_m g_m ∘ x_m),  g = softmax over the present m of MLP([x_1, x_2, x_3]), for each dimension
        bilinear   X = unit(mean_m x_m + W Σ_{m<n} (U_m x_m) ∘ (U_n x_n) / √(R·D))

    H is the width of the MLP's hidden layer; MLP and U see √D x_m, whose elements have variance 1.

    What is added to the mean exists between inputs only. So *one input alone leaves as it came, to rounding, however
    the head is trained*: a query by text or by image needs no fusion, and compares with fused vectors of an index. A
    new head gives the mean; training moves it away from there.

    Sources: gated multimodal units of Arevalo et al. 2017, here with the inputs themselves as the units; low-rank
    bilinear pooling of Kim et al. 2017, without its nonlinearity.

    Raises:
        UserError: `config.kind` is unknown, or a size is not positive.
    """

    config_class = FusionHeadConfig
    base_model_prefix = "fusion_head"
    main_input_name = "image_BD"

    def __init__(self, config: FusionHeadConfig) -> None:
        super().__init__(config)
        if config.kind not in KINDS:
            raise UserError(f"kind is {config.kind!r}: choose one of {', '.join(KINDS)}")
        for name in ("width", "hidden_width", "rank"):
            if getattr(config, name) < 1:
                raise UserError(f"{name} is {getattr(config, name)}: it must be at least 1")
        body = {"concat": _Concat, "gated": _Gated, "bilinear": _Bilinear}[config.kind]
        self.body: nn.Module = body(config)
        self.post_init()

    def forward(self, image_BD: Tensor | None = None, title_BD: Tensor | None = None, ocr_BD: Tensor | None = None, *,
                image_present_B: Tensor | None = None, title_present_B: Tensor | None = None,
                ocr_present_B: Tensor | None = None) -> Tensor:
        """Fuse a batch into unit rows (B, D), in float32.

        Args:
            image_BD: image embeddings, L2-normalised where present; None if no row has one.
            title_BD, ocr_BD: the same of titles, and of the text read off the images.
            image_present_B: bool, whether the row has an image; None for every row. What stands in other rows of
                `image_BD` does not matter.
            title_present_B, ocr_present_B: the same for titles and OCR text.

        Raises:
            ValueError: nothing is given, shapes do not match, a mask comes without its embeddings, a present row is
                not of length 1, or a row has no input at all.
        """
        given = dict(zip(INPUTS, (image_BD, title_BD, ocr_BD), strict=True))
        masks = dict(zip(INPUTS, (image_present_B, title_present_B, ocr_present_B), strict=True))
        inputs_BMD, present_BM = stack_inputs(given, masks, self.config.width)
        fused_BD = self.body(inputs_BMD, present_BM, mean_inputs(inputs_BMD, present_BM))
        return unit_rows(fused_BD, inputs_BMD, present_BM)

    @torch.inference_mode()
    def fuse(self, image_vectors_ND: np.ndarray | None = None, title_vectors_ND: np.ndarray | None = None,
             ocr_vectors_ND: np.ndarray | None = None, batch_size: int = ROWS_AT_ONCE) -> np.ndarray:
        """Fuse arrays of unit rows into float32 unit rows (N, D); a row of zeros stands for a missing input.

        Raises:
            ValueError: as in `forward`.
        """
        arrays = {name: array for name, array in zip(INPUTS, (image_vectors_ND, title_vectors_ND, ocr_vectors_ND),
                                                     strict=True) if array is not None}
        check_arrays(arrays)
        inputs = {name: torch.from_numpy(np.asarray(array, np.float32)) for name, array in arrays.items()}
        chunks = [self(**as_inputs({name: rows_ND[i:i + batch_size].to(self.device)
                                    for name, rows_ND in inputs.items()}))
                  for i in range(0, len(next(iter(inputs.values()))), batch_size)]
        return torch.cat(chunks).cpu().numpy() if chunks else np.empty((0, self.config.width), np.float32)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, _Output):
            init.zeros_(module.weight)
        elif isinstance(module, nn.Linear):
            init.normal_(module.weight, std=module.in_features ** -0.5)
            if module.bias is not None:
                init.zeros_(module.bias)


class _Output(nn.Linear):
    """The last layer of a body: zeros at the start, so that a new head gives the mean."""


class _Concat(nn.Module):
    def __init__(self, config: FusionHeadConfig) -> None:
        super().__init__()
        self.hidden = _Hidden(config)
        self.output = _Output(config.hidden_width, config.width, bias=False)

    def forward(self, inputs_BMD: Tensor, present_BM: Tensor, mean_BD: Tensor) -> Tensor:
        several_B1 = present_BM.sum(dim=1, keepdim=True) > 1
        return mean_BD + several_B1 * _scaled(self.output, self.hidden(inputs_BMD, present_BM))


class _Gated(nn.Module):
    def __init__(self, config: FusionHeadConfig) -> None:
        super().__init__()
        self.hidden = _Hidden(config)
        self.output = _Output(config.hidden_width, len(INPUTS) * config.width, bias=False)

    def forward(self, inputs_BMD: Tensor, present_BM: Tensor, mean_BD: Tensor) -> Tensor:
        logits_BMD = _linear(self.output, self.hidden(inputs_BMD, present_BM)).reshape(inputs_BMD.shape)
        gates_BMD = logits_BMD.masked_fill(~present_BM[:, :, None], -torch.inf).softmax(dim=1)
        return (gates_BMD * inputs_BMD).sum(dim=1)


class _Bilinear(nn.Module):
    def __init__(self, config: FusionHeadConfig) -> None:
        super().__init__()
        self.factors = nn.ModuleList(nn.Linear(config.width, config.rank, bias=False) for _ in INPUTS)
        self.output = _Output(config.rank, config.width, bias=False)

    def forward(self, inputs_BMD: Tensor, present_BM: Tensor, mean_BD: Tensor) -> Tensor:
        scaled_BMD = inputs_BMD * inputs_BMD.shape[2] ** 0.5  # elements of variance 1, as the initial weights expect
        image_BR, title_BR, ocr_BR = (_linear(factor, scaled_BMD[:, m]) for m, factor in enumerate(self.factors))
        # A missing input is a row of zeros, and with it every product that it is part of.
        products_BR = image_BR * title_BR + image_BR * ocr_BR + title_BR * ocr_BR
        return mean_BD + _scaled(self.output, products_BR)


class _Hidden(nn.Module):
    """GELU of a linear map of all inputs beside each other, and of which of them are there."""

    def __init__(self, config: FusionHeadConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(len(INPUTS) * (config.width + 1), config.hidden_width)

    def forward(self, inputs_BMD: Tensor, present_BM: Tensor) -> Tensor:
        scaled_BMD = inputs_BMD * inputs_BMD.shape[2] ** 0.5
        given_BI = torch.cat([scaled_BMD.flatten(1), present_BM.to(scaled_BMD.dtype)], dim=1)
        return F.gelu(_linear(self.linear, given_BI))


def _scaled(output: nn.Linear, features_BR: Tensor) -> Tensor:
    """The layer's output divided by √(R·D).

    A step of Adam moves every weight alike: the outputs, sums over R features, by R times as much. The elements that
    they are added to, those of unit rows, are of size 1/√D. Undivided, the sum drowns the mean within a few steps.
    """
    return _linear(output, features_BR) / output.weight.numel() ** 0.5


def _linear(layer: nn.Module, rows_BI: Tensor) -> Tensor:
    """The layer in float32, even where the model it belongs to is stored in less."""
    assert isinstance(layer, nn.Linear)
    return F.linear(rows_BI, layer.weight.float(), None if layer.bias is None else layer.bias.float())
