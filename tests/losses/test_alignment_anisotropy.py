"""AlignmentAnisotropy against its nested loops in float64, in every form."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.losses import references
from tests.losses.references import assert_equal_to, unit_rows
from vector_universe.losses import AlignmentAnisotropy

FORMS = [("mean", False), ("mean", True), ("log_sum_exp", False), ("log_sum_exp", True), ("spectral", False)]


def views(size, width, seed=0, dtype=torch.float32):
    return [unit_rows(size, width, seed + number, dtype) for number in range(4)]


def reference(form, weight, temperature, cross_modal_only):
    return lambda *given: (references.alignment(given, weight, temperature, cross_modal_only)
                           + references.anisotropy(given, form, temperature, cross_modal_only))


@pytest.mark.parametrize(("form", "cross_modal_only"), FORMS)
@settings(max_examples=15, deadline=None)
@given(size=st.integers(2, 9), width=st.integers(2, 12), tile=st.integers(1, 10),
       temperature=st.sampled_from([0.01, 0.05, 0.3, 1.0]), weight=st.floats(0.05, 2), seed=st.integers(0, 10**6))
def test_value_and_gradients_equal_the_nested_loops(form, cross_modal_only, size, width, tile, temperature, weight,
                                                    seed):
    objective = AlignmentAnisotropy(form, weight, temperature, cross_modal_only, tile=tile)
    # A row's gradient is a sum of pulls of weight / temperature each: that is its scale.
    assert_equal_to(reference(form, weight, temperature, cross_modal_only), lambda *given: objective(*given).total,
                    views(size, width, seed), max(1, weight) / temperature)


@pytest.mark.parametrize("cross_modal_only", [False, True])
def test_mean_and_spectral_take_a_single_example(cross_modal_only):
    for form in ["mean"] if cross_modal_only else ["mean", "spectral"]:
        objective = AlignmentAnisotropy(form, cross_modal_only=cross_modal_only)
        assert_equal_to(reference(form, 1.0, 0.05, cross_modal_only), lambda *given: objective(*given).total,  # noqa: B023
                        views(1, 5), 20)


@pytest.mark.parametrize(("form", "cross_modal_only"), FORMS)
@pytest.mark.parametrize("sign", [1, -1])
def test_identical_and_opposite_rows(form, cross_modal_only, sign):
    image = unit_rows(1, 5, 0).detach().expand(6, -1)
    rows = [(image * side).clone().requires_grad_() for side in (1, sign, 1, sign)]
    objective = AlignmentAnisotropy(form, temperature=0.01, cross_modal_only=cross_modal_only, tile=4)
    assert_equal_to(reference(form, 1.0, 0.01, cross_modal_only), lambda *given: objective(*given).total, rows, 100,
                    floor=1.0)


@pytest.mark.parametrize(("form", "cross_modal_only"), FORMS)
def test_bfloat16_inputs_are_computed_in_float32(form, cross_modal_only):
    rows = views(12, 16, dtype=torch.bfloat16)
    precise = references.in_float64(rows)
    expected = reference(form, 1.0, 0.05, cross_modal_only)(*precise)
    found = AlignmentAnisotropy(form, cross_modal_only=cross_modal_only)(*rows).total
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    given = torch.autograd.grad(found, rows)
    for ours, theirs in zip(given, torch.autograd.grad(expected, precise), strict=True):
        assert (ours.double() - theirs).norm() <= 4e-3 * theirs.norm()


@pytest.mark.parametrize(("form", "cross_modal_only"), FORMS)
def test_gradients_pass_the_finite_difference_check(form, cross_modal_only):
    objective = AlignmentAnisotropy(form, temperature=0.5, cross_modal_only=cross_modal_only, tile=3)
    assert torch.autograd.gradcheck(lambda *given: objective(*(F.normalize(rows, dim=1) for rows in given)).total,
                                    views(5, 3, dtype=torch.float64))


@pytest.mark.parametrize(("form", "cross_modal_only"), FORMS)
def test_the_order_of_the_batch_does_not_matter_and_parts_add_up(form, cross_modal_only):
    rows, order = views(9, 6), torch.randperm(9, generator=torch.Generator().manual_seed(0))
    objective = AlignmentAnisotropy(form, cross_modal_only=cross_modal_only, tile=4)
    output = objective(*rows)
    assert objective(*(view[order] for view in rows)).total.item() == pytest.approx(output.total.item(), rel=1e-5)
    assert set(output.parts) == {"alignment", "anisotropy"}
    assert sum(output.parts.values()).item() == pytest.approx(output.total.item(), rel=1e-6)
    assert all(part.requires_grad for part in output.parts.values())


@pytest.mark.parametrize(("form", "cross_modal_only"), FORMS)
def test_swapping_the_views_of_both_kinds_keeps_what_is_symmetric(form, cross_modal_only):
    """Alignment and the spectrum know no first view; mean and log-sum-exp do when they look within a kind."""
    one, two = views(9, 6)[:2], views(9, 6)[2:]
    objective = AlignmentAnisotropy(form, cross_modal_only=cross_modal_only)
    here, there = objective(*one, *two), objective(*two, *one)
    assert here.parts["alignment"].item() == pytest.approx(there.parts["alignment"].item(), rel=1e-5)
    if form == "spectral" or cross_modal_only:
        assert here.total.item() == pytest.approx(there.total.item(), rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(size=st.integers(2, 12), seed=st.integers(0, 10**6), temperature=st.floats(0.05, 2))
def test_the_mean_is_a_lower_bound_of_the_log_sum_exp(size, seed, temperature):
    """Jensen: log Σ exp(x_j) ≥ log(B - 1) + mean of x_j, for each of the four combinations."""
    rows = views(size, 6, seed)
    full = AlignmentAnisotropy("log_sum_exp", temperature=temperature)(*rows).parts["anisotropy"].item()
    mean = AlignmentAnisotropy("mean")(*rows).parts["anisotropy"].item()
    assert full >= 4 * math.log(size - 1) + mean * size / (size - 1) / temperature - 1e-3 * abs(full)


def test_total_collapse_gives_the_known_digits():
    """56 pairs, images at one pole and texts at the other, weight 0.3117: loss -1.3409, anisotropy -1.9643."""
    pole = F.normalize(torch.ones(56, 8), dim=1)
    output = AlignmentAnisotropy("mean", positive_weight=0.3117, temperature=1.0, cross_modal_only=True)(
        pole, -pole, pole, -pole)
    assert output.parts["anisotropy"].item() == pytest.approx(-1.9643, abs=5e-5)
    assert output.total.item() == pytest.approx(-1.3409, abs=5e-5)


def test_the_second_moment_is_one_when_flat_and_the_width_when_collapsed():
    flat = torch.cat([torch.eye(8), -torch.eye(8)])
    same = F.normalize(torch.ones(16, 8), dim=1)
    objective = AlignmentAnisotropy("spectral")
    assert objective(flat, flat, flat, flat).parts["anisotropy"].item() == pytest.approx(1 + 1)
    assert objective(same, flat, same, flat).parts["anisotropy"].item() == pytest.approx(8 + 1)


@pytest.mark.parametrize(("settings", "message"), [
    ({"anisotropy": "median"}, "anisotropy is 'median': choose mean, log_sum_exp or spectral"),
    ({"positive_weight": 0.0}, "positive_weight is 0.0"), ({"temperature": -1.0}, "temperature is -1.0"),
    ({"temperature": math.nan}, "temperature is nan"),
    ({"anisotropy": "spectral", "cross_modal_only": True}, "cross_modal_only has no spectral form")])
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        AlignmentAnisotropy(**settings)


@pytest.mark.parametrize("place", range(4))
def test_bad_input_is_refused_by_name(place):
    name = ["images_BD", "texts_BD", "other_images_BD", "other_texts_BD"][place]
    for change, message in ((torch.ones(3, 4), f"row 0 of {name} has length 2"),
                            (torch.zeros(0, 4), f"{name} is empty"),
                            (F.normalize(torch.ones(2, 4), dim=1), "rows, images_BD has")):
        rows = [F.normalize(torch.ones(3, 4), dim=1) for _ in range(4)]
        rows[place] = change
        with pytest.raises(ValueError, match=message):
            AlignmentAnisotropy("mean")(*rows)
    rows = [F.normalize(torch.ones(3, 4), dim=1) for _ in range(4)]
    rows[place][1, 1] = math.nan
    with pytest.raises(FloatingPointError, match=f"row 1 of {name} holds NaN"):
        AlignmentAnisotropy("mean")(*rows)


def test_a_single_example_has_nothing_to_be_compared_with():
    with pytest.raises(ValueError, match="images_BD has 1 row"):
        AlignmentAnisotropy("log_sum_exp")(*views(1, 4))
