"""Cached gradients equal the plain ones: value and every gradient, for every objective, with dropout, in parts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vector_universe.losses import AlignmentAnisotropy, InfoNCE, KernelKL, LabelSets, Sigmoid
from vector_universe.losses.feature_maps import LinearKernel
from vector_universe.training.cached_gradients import CachedGradients, Encoding

BATCH, WIDTH, LABELS = 12, 8, 5


class Model(nn.Module):
    """Two towers with dropout, a temperature and a bias."""

    def __init__(self):
        super().__init__()
        self.image, self.text = (nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(0.3), nn.Linear(16, WIDTH))
                                 for _ in range(2))
        self.logit_scale, self.logit_bias = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(-3.0))
        self.head = nn.Linear(2 * WIDTH, WIDTH)

    def embed(self, side, rows):
        return F.normalize(getattr(self, side)(rows), dim=1)


def labels():
    return LabelSets.from_lists([[i % LABELS, (i + 2) % LABELS] for i in range(BATCH)], LABELS)


GROUPS = torch.tensor([i // 2 for i in range(BATCH)])
OBJECTIVES = {
    "info_nce": lambda model, e, extra: extra(e["images"], e["texts"], model.logit_scale),
    "groups": lambda model, e, extra: extra(e["images"], e["texts"], model.logit_scale, GROUPS, GROUPS),
    "soft": lambda model, e, extra: extra(e["images"], e["texts"], model.logit_scale, None, None, labels()),
    "sigmoid": lambda model, e, extra: extra(e["images"], e["texts"], model.logit_scale, model.logit_bias),
    "two views": lambda model, e, extra: extra(e["images"], e["texts"], e["other_images"], e["other_texts"]),
    "fusion": lambda model, e, extra: extra(
        F.normalize(model.head(torch.cat([e["images"], e["texts"]], 1)), dim=1), e["labels"], labels()),
}
MODULES = {
    "info_nce": [InfoNCE], "groups": [InfoNCE], "soft": [lambda: InfoNCE(0.4)], "sigmoid": [Sigmoid],
    "two views": [lambda kind=kind: AlignmentAnisotropy(kind) for kind in ("mean", "log_sum_exp", "spectral")],
    "fusion": [lambda: KernelKL(LinearKernel(WIDTH, 6))],
}
CASES = [(name, number) for name, several in MODULES.items() for number in range(len(several))]


def made(name, number, dtype):
    torch.manual_seed(0)
    model, objective = Model().to(dtype), MODULES[name][number]().to(dtype)
    data = {side: torch.randn(BATCH, 6, dtype=dtype) for side in ("image", "text", "other_image", "other_text")}
    vocabulary = torch.randn(LABELS, 6, dtype=dtype)
    sources = {"images": ("image", data["image"]), "texts": ("text", data["text"])}
    if name == "two views":
        sources |= {"other_images": ("image", data["other_image"]), "other_texts": ("text", data["other_text"])}
    if name == "fusion":
        sources["labels"] = ("text", vocabulary)
    encodings = {key: Encoding(len(rows), rows.__getitem__, lambda part, side=side: model.embed(side, part))
                 for key, (side, rows) in sources.items()}
    return model.train(), objective, encodings


def reseed(name, row):
    torch.manual_seed(1000 * len(name) + row)


def plain(model, objective, encodings, name, size):
    """The slow and obvious way: every part with its graph, all in memory."""
    embeddings = {}
    for key, encoding in encodings.items():
        parts = []
        for start in range(0, encoding.rows, size):
            reseed(key, start)
            parts.append(encoding.encode(encoding.prepare(slice(start, start + size))))
        embeddings[key] = torch.cat(parts)
    loss = OBJECTIVES[name](model, embeddings, objective)
    loss.total.backward()
    return loss.total.item(), gradients(model, objective)


def gradients(*modules):
    return [parameter.grad.clone() for module in modules for parameter in module.parameters()
            if parameter.grad is not None]


@pytest.mark.parametrize(("name", "number"), CASES)
@pytest.mark.parametrize("size", [1, 2, 5, 7, BATCH - 1, BATCH])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
def test_cached_gradients_are_the_plain_ones(name, number, size, dtype, tolerance):
    expected, expected_gradients = plain(*made(name, number, dtype), name, size)
    model, objective, encodings = made(name, number, dtype)
    with ThreadPoolExecutor(1) as threads:
        step = CachedGradients(encodings, size, reseed, threads)
        loss = OBJECTIVES[name](model, step.embed(), objective)
        step.backward(loss.total)
    found = gradients(model, objective)
    assert loss.total.item() == pytest.approx(expected, abs=tolerance * max(1, abs(expected)))
    assert len(found) == len(expected_gradients)
    for ours, theirs in zip(found, expected_gradients, strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=tolerance * max(1, theirs.abs().max().item()))
    assert any(gradient.abs().max() > 1e-3 for gradient in found)


def test_dropout_that_is_not_repeated_would_be_noticed():
    """The comparison above has teeth: with other random numbers in the second pass gradients are off."""
    _, expected = plain(*made("info_nce", 0, torch.float64), "info_nce", 3)
    model, objective, encodings = made("info_nce", 0, torch.float64)
    calls = []

    def forgetful(name, row):
        calls.append(name)
        torch.manual_seed(len(calls))

    with ThreadPoolExecutor(1) as threads:
        step = CachedGradients(encodings, 3, forgetful, threads)
        step.backward(OBJECTIVES["info_nce"](model, step.embed(), objective).total)
    assert not all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in
                   zip(gradients(model, objective), expected, strict=True))


def test_only_one_part_has_a_graph_at_a_time():
    model, objective, encodings = made("info_nce", 0, torch.float32)
    alive, most = [0], [0]

    class Watch(torch.autograd.Function):
        @staticmethod
        def forward(ctx, rows):
            if torch.is_grad_enabled() or rows.requires_grad:
                alive[0] += 1
                most[0] = max(most[0], alive[0])
            return rows.clone()

        @staticmethod
        def backward(ctx, gradient):
            alive[0] -= 1
            return gradient

    watched = {name: Encoding(encoding.rows, encoding.prepare, lambda part, e=encoding: Watch.apply(e.encode(part)))
               for name, encoding in encodings.items()}
    with ThreadPoolExecutor(1) as threads:
        step = CachedGradients(watched, 4, reseed, threads)
        embeddings = step.embed()
        assert most[0] == 0
        step.backward(OBJECTIVES["info_nce"](model, embeddings, objective).total)
    assert most[0] == 1


def test_what_does_not_learn_is_embedded_once():
    model, objective, encodings = made("info_nce", 0, torch.float32)
    model.image.requires_grad_(False)
    calls = []
    frozen = Encoding(BATCH, encodings["images"].prepare,
                      lambda part: calls.append(1) or encodings["images"].encode(part), learns=False)
    with ThreadPoolExecutor(1) as threads:
        step = CachedGradients({"images": frozen, "texts": encodings["texts"]}, 4, reseed, threads)
        step.backward(OBJECTIVES["info_nce"](model, step.embed(), objective).total)
    assert len(calls) == 3
    assert all(parameter.grad is None for parameter in model.image.parameters())
    assert all(parameter.grad is not None for parameter in model.text.parameters())


def test_autocast_reaches_both_passes():
    model, objective, encodings = made("info_nce", 0, torch.float32)
    types = []
    noting = {name: Encoding(encoding.rows, encoding.prepare, lambda part, e=encoding: _note(types, e.encode(part)))
              for name, encoding in encodings.items()}
    with ThreadPoolExecutor(1) as threads:
        step = CachedGradients(noting, 5, reseed, threads, lambda: torch.autocast("cpu", torch.bfloat16))
        embeddings = {name: F.normalize(rows.float(), dim=1) for name, rows in step.embed().items()}
        step.backward(OBJECTIVES["info_nce"](model, embeddings, objective).total)
    assert len(types) == 12
    assert all(types)


def _note(types, rows):
    types.append(torch.is_autocast_enabled("cpu"))
    return rows
