"""The fusion head: its formulas, what a missing input does, saving, and what training makes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vector_universe import UserError
from vector_universe.evaluation.label_ranking import label_ranking
from vector_universe.losses import LabelSets
from vector_universe.models.fusion import KINDS, FusionHead, FusionHeadConfig
from vector_universe.training.fusion import FusionConfig, train_fusion

B, D = 12, 16
NAMES = ("image", "title", "ocr")


def unit(rows, seed, width=D):
    return F.normalize(torch.randn(rows, width, generator=torch.Generator().manual_seed(seed)), dim=1)


def make_head(kind, trained=True):
    torch.manual_seed(0)
    head = FusionHead(FusionHeadConfig(kind=kind, width=D, hidden_width=24, rank=8)).eval()
    if trained:  # far away from where it starts
        with torch.no_grad():
            for parameter in head.parameters():
                parameter.normal_(std=1.0)
    return head


def inputs():
    return {f"{name}_BD": unit(B, seed) for seed, name in enumerate(NAMES)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trained", [False, True])
def test_rows_out_are_unit_rows_and_depend_on_nothing_but_their_own_inputs(kind, trained):
    head, given = make_head(kind, trained), inputs()
    fused = head(**given)
    assert fused.shape == (B, D)
    assert torch.allclose(fused.norm(dim=1), torch.ones(B), atol=1e-5)
    alone = torch.cat([head(**{name: rows[i:i + 1] for name, rows in given.items()}) for i in range(B)])
    assert torch.allclose(fused, alone, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_one_input_alone_leaves_as_it_came_however_the_head_is_trained(kind, name):
    rows = unit(B, 5)
    assert torch.allclose(make_head(kind)(**{f"{name}_BD": rows}), rows, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_head_gives_the_mean_of_what_is_there(kind):
    given, head = inputs(), make_head(kind, trained=False)
    assert torch.allclose(head(**given), F.normalize(sum(given.values()), dim=1), atol=1e-5)
    del given["ocr_BD"]
    assert torch.allclose(head(**given), F.normalize(sum(given.values()), dim=1), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_by_mask_is_missing_altogether_and_poisons_nothing(kind):
    head, given = make_head(kind), inputs()
    present = torch.arange(B) % 2 == 0
    poisoned = given | {"title_BD": torch.where(present[:, None], given["title_BD"], torch.nan).requires_grad_()}
    fused = head(**poisoned, title_present_B=present)
    without = head(given["image_BD"], None, given["ocr_BD"])
    assert torch.allclose(fused[~present], without[~present], atol=1e-6)
    assert torch.allclose(fused[present], head(**given)[present], atol=1e-6)
    fused.sum().backward()
    assert all(parameter.grad is None or torch.isfinite(parameter.grad).all() for parameter in head.parameters())
    assert torch.isfinite(poisoned["title_BD"].grad).all()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_follows_its_formula(kind):
    head, x = make_head(kind), list(inputs().values())
    body = head.body
    for row in range(B):
        image, title, ocr = (rows[row] for rows in x)
        mean = (image + title + ocr) / 3
        if kind == "bilinear":
            u, v, w = (D ** 0.5 * factor.weight @ one for factor, one in zip(body.factors, (image, title, ocr),
                                                                            strict=True))
            expected = mean + body.output.weight @ (u * v + u * w + v * w) / (8 * D) ** 0.5
        else:
            stacked = torch.cat([D ** 0.5 * image, D ** 0.5 * title, D ** 0.5 * ocr, torch.ones(3)])
            hidden = F.gelu(body.hidden.linear.weight @ stacked + body.hidden.linear.bias)
            if kind == "concat":
                expected = mean + body.output.weight @ hidden / (24 * D) ** 0.5
            else:
                gates = (body.output.weight @ hidden).reshape(3, D).softmax(dim=0)
                expected = gates[0] * image + gates[1] * title + gates[2] * ocr
        assert torch.allclose(head(*(rows[row:row + 1] for rows in x))[0], expected / expected.norm(), atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_cancel_each_other_still_give_a_unit_row(kind):
    rows = unit(B, 7)
    fused = make_head(kind, trained=False)(rows, -rows)
    assert torch.allclose(fused, rows, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_is_saved_and_loaded_without_pickle(kind, tmp_path):
    head = make_head(kind)
    head.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    loaded = FusionHead.from_pretrained(tmp_path, use_safetensors=True).eval()
    assert loaded.config.kind == kind
    assert torch.equal(loaded(**inputs()), head(**inputs()))


def test_arrays_are_fused_with_rows_of_zeros_as_missing():
    head, given = make_head("concat"), inputs()
    arrays = [given[f"{name}_BD"].numpy().copy() for name in NAMES]
    arrays[1][::3] = 0
    fused = head.fuse(*arrays, batch_size=5)
    expected = head(**given, title_present_B=torch.arange(B) % 3 != 0).detach().numpy()
    assert fused.dtype == np.float32
    assert np.allclose(fused, expected, atol=1e-6)
    assert head.fuse(np.empty((0, D), np.float32)).shape == (0, D)


def test_bad_settings_and_inputs_are_refused_by_name():
    with pytest.raises(UserError, match="kind is 'sum': choose one of concat, gated, bilinear"):
        FusionHead(FusionHeadConfig(kind="sum"))
    with pytest.raises(UserError, match="rank is 0: it must be at least 1"):
        FusionHead(FusionHeadConfig(rank=0))
    head, rows = make_head("gated"), unit(B, 0)
    present = torch.ones(B, dtype=torch.bool)
    for match, arguments in (
        ("give at least one of image_BD", {}),
        (r"title_BD is \(3, 16\): it must be \(12, 16\)", {"image_BD": rows, "title_BD": rows[:3]}),
        (r"image_BD is \(12, 8\)", {"image_BD": unit(B, 0, 8)}),
        ("ocr_present_B is given without ocr_BD", {"image_BD": rows, "ocr_present_B": present}),
        ("image_present_B must hold 12 bools", {"image_BD": rows, "image_present_B": present.int()}),
        ("row 0 of title_BD is not of length 1", {"image_BD": rows, "title_BD": 2 * rows}),
        ("row 0 of title_BD is not of length 1", {"image_BD": rows, "title_BD": rows * torch.nan}),
        ("row 0 has neither image nor title nor OCR text", {"image_BD": rows, "image_present_B": ~present}),
    ):
        with pytest.raises(ValueError, match=match):
            head(**arguments)
    with pytest.raises(ValueError, match=r"title_vectors_ND is \(3, 16\), image_vectors_ND is \(12, 16\)"):
        head.fuse(rows.numpy(), rows[:3].numpy())
    with pytest.raises(ValueError, match="give at least one of image_vectors_ND"):
        head.fuse()


# ---- training ----

L, ROWS = 8, 420
SMALL = {"hidden_width": 32, "rank": 16, "features": 32, "epochs": 25, "batch_size": 64}


def world(seed=0):
    """Two labels a row: the image tells of one of them, the title of the other, both with noise."""
    draw = np.random.default_rng(seed)
    vocabulary = unit(L, 99).numpy()
    labels = [sorted(draw.choice(L, 2, replace=False).tolist()) for _ in range(ROWS)]

    def views(place):
        rows = np.stack([vocabulary[several[place]] for several in labels]) + 0.15 * draw.normal(size=(ROWS, D))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    return views(0), views(1), labels, vocabulary


def figure(head, objective, arrays, labels, vocabulary):
    with torch.no_grad():
        scores = objective.distribution(torch.from_numpy(head.fuse(*arrays)), torch.from_numpy(vocabulary))
    return label_ranking(scores.numpy(), LabelSets.from_lists(labels, L))


@pytest.mark.parametrize("kind", KINDS)
def test_two_inputs_tell_more_than_one_and_one_is_still_of_use(kind):
    images, titles, labels, vocabulary = world()
    head, objective = train_fusion(images[:300], titles[:300], None, LabelSets.from_lists(labels[:300], L), vocabulary,
                                   FusionConfig(kind=kind, **SMALL))
    assert not head.training
    assert not objective.training
    images, titles, labels = images[300:], titles[300:], labels[300:]
    both = figure(head, objective, (images, titles), labels, vocabulary)
    image = figure(head, objective, (images, None), labels, vocabulary)
    title = figure(head, objective, (None, titles), labels, vocabulary)
    assert both.average_precision > max(image.average_precision, title.average_precision) + 0.05
    assert min(image.average_precision, title.average_precision) > both.chance_average_precision + 0.1


def test_the_same_seed_gives_the_same_weights_and_leaves_other_random_numbers_alone():
    images, titles, labels, vocabulary = world()
    titles[::3] = 0  # some rows have no title
    sets = LabelSets.from_lists([several if row % 5 else [] for row, several in enumerate(labels)], L)
    config = FusionConfig(**SMALL | {"epochs": 2})
    torch.manual_seed(1)
    first = train_fusion(images, titles, images, sets, vocabulary, config)
    drawn = torch.rand(1)
    second = train_fusion(images, titles, images, sets, vocabulary, config)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(),
                                                     strict=True))
    third = train_fusion(images, titles, images, sets, vocabulary, FusionConfig(**SMALL | {"epochs": 2, "seed": 1}))
    assert not torch.equal(first[1].kernel.query_map.weight, third[1].kernel.query_map.weight)


def test_impossible_training_is_refused_by_name():
    images, titles, labels, vocabulary = world()
    sets = LabelSets.from_lists(labels, L)
    for setting, value in (("epochs", 0), ("learning_rate", 1.0), ("modality_dropout", 1.0), ("validation_share", 0.0),
                           ("kind", "sum")):
        with pytest.raises(UserError, match=f"{setting} is"):
            train_fusion(images, titles, None, sets, vocabulary, FusionConfig(**{setting: value}))
    with pytest.raises(UserError, match="only 3 rows have labels"):
        train_fusion(images[:3], titles[:3], None, LabelSets.from_lists(labels[:3], L), vocabulary)
    with pytest.raises(ValueError, match="give at least one of image_vectors_ND"):
        train_fusion(None, None, None, sets, vocabulary)
    with pytest.raises(ValueError, match=r"title_vectors_ND is \(5, 16\)"):
        train_fusion(images, titles[:5], None, sets, vocabulary)
    with pytest.raises(ValueError, match="labels are of 420 rows and 8 labels, but there are 5 rows"):
        train_fusion(images[:5], titles[:5], None, sets, vocabulary)
    with pytest.raises(ValueError, match="must be of the same width"):
        train_fusion(images, titles, None, sets, unit(L, 0, 8).numpy())
    with pytest.raises(ValueError, match="row 0 of vocabulary_LD has length 2"):
        train_fusion(images, titles, None, sets, 2 * vocabulary)
    with pytest.raises(ValueError, match="has neither image nor title"):
        train_fusion(images * (np.arange(ROWS) != 7)[:, None].astype(np.float32), None, None, sets, vocabulary,
                     FusionConfig(epochs=1))
