"""InfoNCE against the dense equation in float64, with every option; its symmetries; its door."""

from __future__ import annotations

import math
import random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.losses import references
from tests.losses.references import assert_equal_to, group_targets, one_hot, soften, unit_rows
from vector_universe.losses import InfoNCE, LabelSets, inverse_document_frequency


def scalar(value, dtype=torch.float32):
    return torch.tensor(value, dtype=dtype, requires_grad=True)


def compare(size, width, scale, tile, dtype=torch.float32, tolerance=1e-5, seed=0):
    inputs = [unit_rows(size, width, seed, dtype), unit_rows(size, width, seed + 1, dtype),
              scalar(math.log(scale), dtype)]
    assert_equal_to(lambda i, t, s: references.info_nce(i, t, s, one_hot(size), one_hot(size)),
                    lambda *given: InfoNCE(tile=tile)(*given).total, inputs, scale, tolerance)


@pytest.mark.parametrize(("size", "width", "tile"), [(1, 4, 8), (2, 3, 8), (8, 8, 8), (9, 8, 8), (50, 16, 16),
                                                     (33, 2, 8), (31, 5, 1), (130, 64, 64), (300, 512, None)])
@pytest.mark.parametrize("scale", [1.0, 14.3, 76.0, 100.0])
def test_value_and_gradients_equal_the_equation(size, width, tile, scale):
    compare(size, width, scale, tile)


@settings(max_examples=60, deadline=None)
@given(size=st.integers(1, 40), width=st.integers(2, 24), tile=st.integers(4, 50), scale=st.floats(1, 100),
       seed=st.integers(0, 10**6))
def test_any_shape_and_tile_equals_the_equation(size, width, tile, scale, seed):
    compare(size, width, scale, tile, seed=seed)
    compare(size, width, scale, tile, torch.float64, 1e-11, seed=seed)


@pytest.mark.parametrize("scale", [1.0, 75.0, 80.0, 100.0, 400.0])
@pytest.mark.parametrize("kind", ["same", "opposite", "some", "one_far"])
def test_identical_and_opposite_rows(kind, scale):
    """At a high scale some of these rows have only far neighbours: no offset that all logits share can hold them."""
    images, texts = unit_rows(20, 6, 0).detach(), unit_rows(20, 6, 1).detach()
    if kind in ("same", "opposite"):
        images[:] = images[0]
        texts[:] = images[0] if kind == "same" else -images[0]
    elif kind == "some":
        images[5:12] = images[0]
        texts[3:9] = -images[0]
    else:
        images[:] = texts[:] = images[0]
        images[4] = -images[0]
    inputs = [images.requires_grad_(), texts.requires_grad_(), scalar(math.log(scale))]
    assert_equal_to(lambda i, t, s: references.info_nce(i, t, s, one_hot(20), one_hot(20)),
                    lambda *given: InfoNCE(tile=8)(*given).total, inputs, scale, floor=1.0)


def test_extreme_scales_only_leave_the_shared_offset_where_they_must(monkeypatch):
    """The slower sums serve the rows that need them, not every high scale."""
    from vector_universe.losses import log_sum_exp
    monkeypatch.setattr(log_sum_exp, "_with_running_maximum", None)
    compare(200, 64, 100.0, 64)
    rows = F.normalize(torch.ones(4, 3), dim=1)
    with pytest.raises(TypeError):
        InfoNCE()(rows, -rows, torch.tensor(math.log(100)))


def test_gradients_pass_the_finite_difference_check():
    images, texts = unit_rows(7, 3, 0, torch.float64), unit_rows(7, 3, 1, torch.float64)
    # Renormalised inside, since the check moves single coordinates.
    assert torch.autograd.gradcheck(
        lambda i, t, s: InfoNCE(tile=3)(F.normalize(i, dim=1), F.normalize(t, dim=1), s).total,
        (images, texts, scalar(2.0, torch.float64)))


@pytest.mark.parametrize("needed", [(True, False, False), (False, True, False), (False, False, True),
                                    (True, False, True), (False, True, True)])
def test_gradients_that_nobody_asks_for_change_nothing(needed):
    """A locked tower has none."""
    everything = [unit_rows(20, 8, 0), unit_rows(20, 8, 1), scalar(2.5)]
    expected = torch.autograd.grad(InfoNCE(tile=8)(*everything).total, everything)
    some = [tensor.detach().requires_grad_(need) for tensor, need in zip(everything, needed, strict=True)]
    InfoNCE(tile=8)(*some).total.backward()
    for tensor, need, gradient in zip(some, needed, expected, strict=True):
        if need:
            torch.testing.assert_close(tensor.grad, gradient, rtol=1e-5, atol=1e-7)
        else:
            assert tensor.grad is None


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_several_positives_equal_the_equation(data):
    """Captions of one image, copies of an image: any sizes, as long as nobody stands alone."""
    draw = random.Random(data.draw(st.integers(0, 10**6)))
    groups = draw.randint(1, 6)
    image_groups = [*range(groups), *(draw.randrange(groups) for _ in range(draw.randint(0, 5)))]
    text_groups = [*range(groups), *(draw.randrange(groups) for _ in range(draw.randint(0, 9)))]
    draw.shuffle(image_groups)
    draw.shuffle(text_groups)
    names = torch.tensor([draw.randint(-10**9, 10**9) for _ in range(groups)])
    inputs = [unit_rows(len(image_groups), 6, 0), unit_rows(len(text_groups), 6, 1), scalar(2.0)]
    assert_equal_to(
        lambda i, t, s: references.info_nce(i, t, s, group_targets(image_groups, text_groups),
                                            group_targets(text_groups, image_groups)),
        lambda i, t, s: InfoNCE(tile=4)(i, t, s, names[image_groups], names[text_groups]).total, inputs, math.exp(2))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 0.99), grouped=st.booleans(), weighted=st.booleans())
def test_soft_targets_equal_the_equation(seed, share, grouped, weighted):
    draw = random.Random(seed)
    size, vocabulary = draw.randint(1, 12), 5
    labels = [draw.sample(range(vocabulary), draw.randint(0, 3)) for _ in range(size)]
    text_labels = [draw.sample(range(vocabulary), draw.randint(0, 3)) for _ in range(size)]
    groups = [draw.randrange(size) for _ in range(size)] if grouped else list(range(size))
    weights = [draw.choice([0.0, 0.3, 1.0, 2.5]) for _ in range(vocabulary)] if weighted else [1.0] * vocabulary
    objective = InfoNCE(soft_share=share, label_weights_L=torch.tensor(weights) if weighted else None, tile=5)
    sets = LabelSets.from_lists(labels, vocabulary), LabelSets.from_lists(text_labels, vocabulary)
    at = (torch.tensor(groups), torch.tensor(groups)) if grouped else (None, None)
    inputs = [unit_rows(size, 6, seed), unit_rows(size, 6, seed + 1), scalar(2.5)]
    image_targets = soften(group_targets(groups, groups), labels, text_labels, weights, share)
    text_targets = soften(group_targets(groups, groups), text_labels, labels, weights, share)
    assert_equal_to(lambda i, t, s: references.info_nce(i, t, s, image_targets, text_targets),
                    lambda i, t, s: objective(i, t, s, *at, *sets).total, inputs, math.exp(2.5))


def test_soft_targets_make_relatives_friends():
    """Cat and lion share a label: the gradient brings the one's text nearer to the other's image."""
    rows = [unit_rows(4, 16, 0), unit_rows(4, 16, 1)]
    labels = LabelSets.from_lists([[0], [0], [1], [2]], 3)

    def pull(share):
        objective = InfoNCE(soft_share=share)
        loss = objective(*rows, torch.tensor(0.0), image_labels=labels if share else None).total
        return -(torch.autograd.grad(loss, rows)[0][0] @ rows[1][1])

    assert pull(0.5) > pull(0.0)


def test_inverse_document_frequency_is_the_logarithm_of_the_rarity():
    labels = LabelSets.from_lists([[0, 1], [0], [0, 1], [0]], 3)
    assert inverse_document_frequency(labels).tolist() == pytest.approx([0, math.log(2), math.log(4)])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_false_negatives_and_extra_candidates_equal_the_equation(seed):
    draw = random.Random(seed)
    size, more_images, more_texts = draw.randint(2, 14), draw.randint(0, 6), draw.randint(0, 6)
    pairs = list({(i, j) for i, j in ((draw.randrange(size), draw.randrange(size)) for _ in range(3 * size)) if i != j})
    inputs = [unit_rows(size, 6, seed), unit_rows(size, 6, seed + 1), scalar(2.5)]
    extras = [unit_rows(count, 6, seed + 2 + side) for side, count in enumerate((more_images, more_texts)) if count]

    def named(rest):
        rest = list(rest)
        return {name: rest.pop(0) for name, count in (("extra_images", more_images), ("extra_texts", more_texts))
                if count}

    assert_equal_to(
        lambda i, t, s, *rest: references.info_nce(i, t, s, one_hot(size), one_hot(size), pairs, **named(rest)),
        lambda i, t, s, *rest: InfoNCE(tile=5)(
            i, t, s, false_negatives_K2=torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2),
            **{f"{name}_KD": rows for name, rows in named(rest).items()}).total, inputs + extras, math.exp(2.5))


@pytest.mark.parametrize("scale", [14.3, 100.0])
def test_bfloat16_inputs_are_computed_in_float32(scale):
    images, texts = unit_rows(70, 32, 0, torch.bfloat16), unit_rows(70, 32, 1, torch.bfloat16)
    inputs = [images, texts, scalar(math.log(scale))]
    expected = references.info_nce(*(precise := references.in_float64(inputs)), one_hot(70), one_hot(70))
    found = InfoNCE(tile=16)(*inputs).total
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for ours, theirs in zip(torch.autograd.grad(found, inputs), torch.autograd.grad(expected, precise), strict=True):
        # What is left is the rounding of the answer to the type that was asked for.
        assert (ours.double() - theirs.to(ours.dtype).double()).norm() <= 2e-3 * theirs.norm()


def test_bfloat16_tiles_keep_the_direction_of_the_gradient():
    inputs = [unit_rows(300, 64, 0), unit_rows(300, 64, 1), scalar(math.log(14.3))]
    exact = torch.autograd.grad(InfoNCE()(*inputs).total, inputs)
    rounded = torch.autograd.grad(InfoNCE(tile_dtype=torch.bfloat16, tile=128)(*inputs).total, inputs)
    for ours, theirs in zip(rounded[:2], exact[:2], strict=True):
        assert ours.dtype == torch.float32
        assert F.cosine_similarity(ours.flatten(), theirs.flatten(), dim=0) >= 0.9999
    assert rounded[2].item() == pytest.approx(exact[2].item(), rel=0.02)


def test_autocast_stops_at_the_door():
    inputs = [unit_rows(40, 16, 0), unit_rows(40, 16, 1), scalar(4.0)]
    plain = torch.autograd.grad(InfoNCE()(*inputs).total, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        total = InfoNCE()(*inputs).total
    assert total.dtype == torch.float32
    for ours, theirs in zip(torch.autograd.grad(total, inputs), plain, strict=True):
        torch.testing.assert_close(ours, theirs)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_the_batch_does_not_matter(seed):
    inputs = [unit_rows(9, 6, seed), unit_rows(9, 6, seed + 1), scalar(2.0)]
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    groups = torch.tensor([0, 0, 1, 2, 2, 3, 4, 5, 6])
    one, other = InfoNCE(tile=4)(*inputs, groups, groups).total, InfoNCE(tile=4)(
        inputs[0][order], inputs[1][order], inputs[2], groups[order], groups[order]).total
    assert other.item() == pytest.approx(one.item(), abs=1e-5)
    for ours, theirs in zip(torch.autograd.grad(one, inputs), torch.autograd.grad(other, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_swapping_the_sides_swaps_the_parts_and_keeps_the_total():
    images, texts, scale = unit_rows(6, 5, 0), unit_rows(8, 5, 1), scalar(1.3)
    image_groups, text_groups = torch.tensor([0, 0, 1, 2, 2, 3]), torch.tensor([3, 2, 1, 0, 0, 1, 2, 3])
    one = InfoNCE(tile=4)(images, texts, scale, image_groups, text_groups)
    other = InfoNCE(tile=4)(texts, images, scale, text_groups, image_groups)
    assert one.total.item() == pytest.approx(other.total.item(), abs=1e-6)
    assert one.parts["image_to_text"].item() == pytest.approx(other.parts["text_to_image"].item(), abs=1e-6)
    assert abs(one.parts["image_to_text"] - one.parts["text_to_image"]) > 1e-6


def test_the_parts_add_up_and_keep_their_gradients():
    inputs = [unit_rows(6, 5, 0), unit_rows(6, 5, 1), scalar(1.3)]
    output = InfoNCE()(*inputs)
    assert sum(output.parts.values()).item() == pytest.approx(output.total.item(), abs=1e-6)
    whole = torch.autograd.grad(output.total, inputs[0], retain_graph=True)[0]
    parts = [torch.autograd.grad(part, inputs[0], retain_graph=True)[0] for part in output.parts.values()]
    torch.testing.assert_close(sum(parts), whole)


@pytest.mark.parametrize("size", [1, 2, 17, 128])
def test_chance_is_the_logarithm_of_the_batch(size):
    same = F.normalize(torch.ones(size, 8), dim=-1)
    assert InfoNCE()(same, same, torch.tensor(2.0)).total.item() == pytest.approx(math.log(size), abs=1e-5)


class LargestTensor(TorchDispatchMode):
    """Watches every operation for the largest tensor that it makes."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        made = [leaf.untyped_storage().nbytes() // 4 for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.elements = max([self.elements, *made])
        return result


def test_no_option_ever_makes_a_matrix_of_all_pairs():
    size, width, tile = 700, 4, 96
    inputs = [unit_rows(size, width, 0), unit_rows(size, width, 1), scalar(2.0)]
    groups = torch.arange(size) // 2
    labels = LabelSets.from_lists([[row % 7, 7 + row % 3] for row in range(size)], 10)
    pairs = torch.stack([torch.arange(size), (torch.arange(size) + 5) % size], 1)
    with LargestTensor() as largest:
        InfoNCE(soft_share=0.3, tile=tile)(
            *inputs, groups, groups, labels, false_negatives_K2=pairs, extra_images_KD=unit_rows(50, width, 2),
            extra_texts_KD=unit_rows(70, width, 3)).total.backward()
    assert tile * tile <= largest.elements <= 4 * size * width < size * size / 40


@pytest.mark.parametrize(("change", "message"), [
    ({"images_ND": torch.zeros(0, 4)}, r"images_ND is empty: its shape is \(0, 4\)"),
    ({"images_ND": F.normalize(torch.ones(3, 4), dim=1)}, r"images_ND is \(3, 4\), texts_MD is \(2, 4\)"),
    ({"texts_MD": F.normalize(torch.ones(2, 5), dim=1)}, "texts_MD and images_ND must have the same width: 5 is not 4"),
    ({"texts_MD": F.normalize(torch.ones(2, 4), dim=1).double()}, "texts_MD and images_ND must have the same type"),
    ({"texts_MD": F.normalize(torch.ones(2, 4), dim=1).to("meta")}, "texts_MD and images_ND must have the same device"),
    ({"texts_MD": torch.ones(2, 4)}, "row 0 of texts_MD has length 2 instead of 1: pass it through"),
    ({"images_ND": torch.eye(2, 4).int()}, "images_ND must be a matrix of floats"),
    ({"images_ND": torch.ones(4)}, "images_ND must be a matrix of floats"),
    ({"logit_scale": torch.ones(2)}, "logit_scale must be a single number"),
    ({"image_groups_N": torch.tensor([0, 1])}, "image_groups_N and text_groups_M go together"),
    ({"image_groups_N": torch.tensor([0]), "text_groups_M": torch.tensor([0, 1])}, "image_groups_N must hold 2 int64"),
    ({"image_groups_N": torch.tensor([0, 5]), "text_groups_M": torch.tensor([0, 1])},
     "row 1 of image_groups_N is of group 5, to which no text belongs"),
    ({"image_groups_N": torch.tensor([0, 0]), "text_groups_M": torch.tensor([0, 1])},
     "row 1 of text_groups_M is of group 1, to which no image belongs"),
    ({"image_labels": LabelSets.from_lists([[0], [1]], 2)}, "image_labels and soft_share go together"),
    ({"false_negatives_K2": torch.tensor([[0, 2]])}, r"false_negatives_K2 holds \(0, 2\): there are 2 images and 2"),
    ({"false_negatives_K2": torch.tensor([[-1, 0]])}, r"false_negatives_K2 holds \(-1, 0\)"),
    ({"false_negatives_K2": torch.tensor([[1, 1]])}, r"false_negatives_K2 holds \(1, 1\), which is a positive"),
    ({"false_negatives_K2": torch.tensor([0, 1])}, "false_negatives_K2 must be"),
    ({"extra_texts_KD": torch.ones(1, 4)}, "row 0 of extra_texts_KD has length 2"),
    ({"extra_images_KD": torch.ones(1, 3)}, "extra_images_KD and images_ND must have the same width"),
])
def test_bad_input_is_refused_by_name(change, message):
    rows = F.normalize(torch.ones(2, 4), dim=1)
    with pytest.raises(ValueError, match=message):
        InfoNCE()(**({"images_ND": rows, "texts_MD": rows, "logit_scale": torch.tensor(1.0)} | change))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_refused_by_row(value):
    rows = F.normalize(torch.ones(3, 4), dim=1)
    broken = rows.clone()
    broken[1, 2] = value
    with pytest.raises(FloatingPointError, match="row 1 of texts_MD holds NaN or infinity"):
        InfoNCE()(rows, broken, torch.tensor(1.0))
    with pytest.raises(FloatingPointError, match="logit_scale is"):
        InfoNCE()(rows, rows, torch.tensor(value))


def test_labels_that_do_not_fit_are_refused():
    rows = F.normalize(torch.ones(2, 4), dim=1)
    with pytest.raises(ValueError, match="label 3 of row 1 lies outside the vocabulary of 3 labels"):
        LabelSets.from_lists([[0], [3]], 3)
    with pytest.raises(ValueError, match="image_labels has 1 rows for 2 embeddings"):
        InfoNCE(soft_share=0.1)(rows, rows, torch.tensor(1.0), image_labels=LabelSets.from_lists([[0]], 3))
    with pytest.raises(ValueError, match="image_labels is of 3 labels, label_weights_L of 2"):
        InfoNCE(0.1, torch.ones(2))(rows, rows, torch.tensor(1.0), image_labels=LabelSets.from_lists([[0], [1]], 3))
    with pytest.raises(ValueError, match="image_labels is of 3 labels, text_labels of 4"):
        InfoNCE(0.1)(rows, rows, torch.tensor(1.0), image_labels=LabelSets.from_lists([[0], [1]], 3),
                     text_labels=LabelSets.from_lists([[0], [1]], 4))
    with pytest.raises(ValueError, match="image_labels and soft_share go together"):
        InfoNCE(0.1)(rows, rows, torch.tensor(1.0))


@pytest.mark.parametrize("share", [-0.1, 1.0, math.nan])
def test_settings_out_of_range_are_refused(share):
    with pytest.raises(ValueError, match="soft_share is"):
        InfoNCE(soft_share=share)
    with pytest.raises(ValueError, match="label_weights_L"):
        InfoNCE(label_weights_L=torch.tensor([-1.0]))
