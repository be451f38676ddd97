"""KernelKL against loops over its definition, its symmetries, and what it learns."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.losses.test_feature_maps import (
    KERNELS,
    assert_same,
    in_float64,
    make_kernel,
    reference_log_scores,
    unit_rows,
)
from vector_universe.losses.feature_maps import SoftmaxKernel
from vector_universe.losses.kernel_kl import KernelKL
from vector_universe.losses.label_sets import LabelSets


class Given(nn.Module):
    """A kernel of one's own: scores that ignore the embeddings."""

    def __init__(self, log_scores):
        super().__init__()
        self.log_scores = nn.Parameter(log_scores)

    def forward(self, queries, labels):
        return self.log_scores


def reference(kernel, rows, vocabulary, labels, smoothing=0.0, frequencies=None, logit_adjustment=False):
    """(total, distribution) by the definition; `labels` is a list of lists."""
    size = len(vocabulary)
    prior = [1 / size] * size if frequencies is None else [frequency / sum(frequencies) for frequency in frequencies]
    log_model = []
    for row in reference_log_scores(kernel, rows, vocabulary):
        if logit_adjustment:
            row = row + torch.tensor(prior, dtype=torch.float64).log()
        log_model.append([log_weight - torch.logsumexp(row, 0) for log_weight in row])
    divergences = []
    for row, its_labels in enumerate(labels):
        if not its_labels:
            continue
        divergence = torch.zeros((), dtype=torch.float64)
        for label in range(size):
            target = smoothing * prior[label]
            if label in its_labels:
                target += (1 - smoothing) / len(its_labels)
            if target > 0:
                divergence = divergence + target * (math.log(target) - log_model[row][label])
        divergences.append(divergence)
    return sum(divergences) / len(divergences), torch.stack([torch.stack(row) for row in log_model]).exp()


def random_labels(size, vocabulary, seed):
    """0 to 3 labels a row, at least one row with some."""
    draw = torch.Generator().manual_seed(seed)
    labels = [torch.randperm(vocabulary, generator=draw)[:torch.randint(0, 4, (), generator=draw)].tolist()
              for _ in range(size)]
    labels[seed % size] = labels[seed % size] or [seed % vocabulary]
    return labels


def assert_equals_reference(kernel, rows, labels, tolerance, smoothing=0.0, frequencies=None, logit_adjustment=False):
    counts = None if frequencies is None else torch.tensor(frequencies, dtype=rows[0].dtype)
    objective = KernelKL(kernel, smoothing, counts, logit_adjustment)
    found = objective(*rows, LabelSets.from_lists(labels, len(rows[1])))
    copied, *copied_rows = in_float64(kernel, *rows)
    expected, distribution = reference(copied, *copied_rows, labels, smoothing, frequencies, logit_adjustment)
    assert found.total.dtype == rows[0].dtype
    assert_same(found.total, [*rows, *objective.parameters()], expected, [*copied_rows, *copied.parameters()],
                tolerance)
    torch.testing.assert_close(objective.distribution(*rows).double(), distribution, rtol=0, atol=tolerance)
    torch.testing.assert_close(sum(found.parts.values()), found.total, rtol=0, atol=0)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=6, deadline=None)
@given(size=st.integers(1, 4), vocabulary=st.integers(1, 5), width=st.integers(1, 4),
       smoothing=st.sampled_from([0.0, 0.1, 0.7]), weighted=st.booleans(), logit_adjustment=st.booleans(),
       seed=st.integers(0, 1000))
def test_value_and_gradients_equal_the_definition(name, dtype, tolerance, size, vocabulary, width, smoothing, weighted,
                                                  logit_adjustment, seed):
    frequencies = [1 + (seed + 3 * label) % 7 for label in range(vocabulary)]
    used = logit_adjustment or (weighted and smoothing > 0)
    assert_equals_reference(make_kernel(name, width, 3, 0.3, seed).to(dtype),
                            (unit_rows(size, width, seed, dtype), unit_rows(vocabulary, width, seed + 1, dtype)),
                            random_labels(size, vocabulary, seed), tolerance, smoothing,
                            frequencies if used else None, logit_adjustment)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("size", "vocabulary"), [(1, 1), (1, 4), (4, 1)])
def test_one_row_and_one_label(name, size, vocabulary):
    rows = unit_rows(size, 3), unit_rows(vocabulary, 3, 1)
    kernel = make_kernel(name, 3).double()
    assert_equals_reference(kernel, rows, [[0]] * size, 1e-10)
    if vocabulary == 1:
        assert KernelKL(kernel, 0.2)(*rows, LabelSets.from_lists([[0]] * size, 1)).total.item() == 0


@pytest.mark.parametrize("name", KERNELS)
def test_identical_rows(name):
    same = unit_rows(1, 3).detach()
    rows = same.repeat(3, 1).requires_grad_(), same.repeat(4, 1).requires_grad_()
    labels = [[0], [1, 2], []]
    kernel = make_kernel(name, 3).double()
    assert_equals_reference(kernel, rows, labels, 1e-10, 0.1)
    total = KernelKL(kernel)(*rows, LabelSets.from_lists(labels, 4)).total
    assert total.item() == pytest.approx((math.log(4) + math.log(2)) / 2, abs=1e-12)


@pytest.mark.parametrize("name", ["softmax", "linear", "random_features"])
@pytest.mark.parametrize("temperature", [0.01, 100.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-10)])
def test_extreme_temperatures(name, temperature, dtype, tolerance):
    """At 0.01 the probability of an opposite label is exp(-200), less than float32 can hold."""
    rows = unit_rows(3, 4, dtype=dtype), torch.cat([unit_rows(3, 4), -unit_rows(3, 4)]).detach().to(dtype)
    rows[1].requires_grad_()
    kernel = make_kernel(name, 4, features=20, temperature=temperature).to(dtype)
    assert_equals_reference(kernel, rows, [[0], [4, 1], [5]], tolerance, 0.1)


def example(dtype=torch.float64):
    """Rows, vocabulary and labels of 6 rows, the fourth without any; 5 labels and their frequencies."""
    return (unit_rows(6, 4, 2, dtype), unit_rows(5, 4, 3, dtype), [[0], [1, 2], [2, 3, 4], [], [4], [0, 4]],
            torch.tensor([5, 1, 2, 1, 9]))


@pytest.mark.parametrize("name", KERNELS)
def test_the_order_of_the_batch_does_not_matter(name):
    rows, vocabulary, labels, frequencies = example()
    objective = KernelKL(make_kernel(name, 4).double(), 0.1, frequencies, logit_adjustment=True).double()
    order = [4, 0, 3, 5, 2, 1]
    total = objective(rows, vocabulary, LabelSets.from_lists(labels, 5)).total
    shuffled = objective(rows[order], vocabulary, LabelSets.from_lists([labels[row] for row in order], 5)).total
    assert shuffled.item() == pytest.approx(total.item(), abs=1e-12)


@pytest.mark.parametrize("name", KERNELS)
def test_the_order_of_the_vocabulary_does_not_matter(name):
    rows, vocabulary, labels, frequencies = example()
    kernel = make_kernel(name, 4).double()
    one = KernelKL(kernel, 0.1, frequencies.double(), logit_adjustment=True)
    order = [3, 1, 4, 0, 2]
    other = KernelKL(kernel, 0.1, frequencies[order].double(), logit_adjustment=True)
    renamed = LabelSets.from_lists([[order.index(label) for label in several] for several in labels], 5)
    total = one(rows, vocabulary, LabelSets.from_lists(labels, 5)).total
    assert other(rows, vocabulary[order], renamed).total.item() == pytest.approx(total.item(), abs=1e-12)
    torch.testing.assert_close(other.distribution(rows, vocabulary[order]),
                               one.distribution(rows, vocabulary)[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_batch_is_the_mean_of_its_pieces_by_their_labelled_rows(name, cut):
    rows, vocabulary, labels, _ = example()
    objective = KernelKL(make_kernel(name, 4).double(), 0.1)
    whole = objective(rows, vocabulary, LabelSets.from_lists(labels, 5)).total.item()
    pieces = sum(objective(rows[piece], vocabulary, LabelSets.from_lists(labels[piece], 5)).total.item()
                 * sum(map(bool, labels[piece])) for piece in (slice(cut), slice(cut, None)))
    assert pieces / 5 == pytest.approx(whole, abs=1e-12)


def test_rows_without_labels_do_not_count():
    rows, vocabulary, labels, _ = example()
    objective = KernelKL(SoftmaxKernel(0.3), 0.1)
    total = objective(rows, vocabulary, LabelSets.from_lists(labels, 5)).total
    kept = [0, 1, 2, 4, 5]
    assert objective(rows[kept], vocabulary, LabelSets.from_lists([labels[row] for row in kept], 5)).total == total
    total.backward()
    assert rows.grad[3].eq(0).all()
    assert rows.grad[kept].ne(0).all()


def target_of(labels, vocabulary, smoothing, prior):
    hot = LabelSets.from_lists(labels, vocabulary).multi_hot(torch.float64)
    return (1 - smoothing) * hot / hot.sum(1, keepdim=True) + smoothing * prior


@pytest.mark.parametrize("logit_adjustment", [False, True])
def test_the_divergence_is_zero_where_the_distribution_is_the_true_one(logit_adjustment):
    labels, frequencies = [[0], [1, 2], [0, 1, 3]], torch.tensor([4.0, 1, 2, 3], dtype=torch.float64)
    target = target_of(labels, 4, 0.2, frequencies / frequencies.sum())
    scores = target / frequencies if logit_adjustment else target
    objective = KernelKL(Given(scores.log() + 3), 0.2, frequencies, logit_adjustment)
    rows = unit_rows(3, 2), unit_rows(4, 2, 1)
    total = objective(*rows, LabelSets.from_lists(labels, 4)).total
    total.backward()
    assert total.item() == pytest.approx(0, abs=1e-12)
    assert objective.kernel.log_scores.grad.abs().max() < 1e-12
    torch.testing.assert_close(objective.distribution(*rows), target, rtol=1e-12, atol=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.sampled_from([0.0, 0.05, 0.9]), st.floats(0, 3), st.integers(0, 1000))
def test_the_divergence_is_never_negative_and_grows_with_the_distance(size, vocabulary, smoothing, distance, seed):
    labels = [several or [0] for several in random_labels(size, vocabulary, seed)]
    target = target_of(labels, vocabulary, smoothing, 1 / vocabulary)
    draw = torch.Generator().manual_seed(seed)
    noise = distance * torch.randn(size, vocabulary, generator=draw, dtype=torch.float64)
    rows = unit_rows(size, 2), unit_rows(vocabulary, 2)
    near, far = (KernelKL(Given((target + 1e-30).log() + scale * noise), smoothing)(
        *rows, LabelSets.from_lists(labels, vocabulary)).total.item() for scale in (1, 2))
    assert -1e-12 <= near <= far + 1e-12
    if distance > 0.1 and smoothing and vocabulary > 1:
        assert near > 1e-6


def test_chance_is_the_logarithm_of_the_vocabulary():
    rows, _, _, _ = example()
    vocabulary = unit_rows(1, 4).repeat(100, 1)
    labels = LabelSets.from_lists([[row] for row in range(6)], 100)
    output = KernelKL(SoftmaxKernel())(rows, vocabulary, labels)
    assert output.total.item() == pytest.approx(math.log(100), abs=1e-12)
    assert output.parts["negative_entropy"].item() == 0


def test_the_parts_are_the_cross_entropy_and_the_entropy_of_the_target():
    rows, vocabulary, labels, frequencies = example()
    labels[3] = [1]
    output = KernelKL(SoftmaxKernel(0.3), 0.25, frequencies.double())(rows, vocabulary, LabelSets.from_lists(labels, 5))
    target = target_of(labels, 5, 0.25, frequencies.double() / 18)
    cross_entropy = F.cross_entropy(rows @ vocabulary.T / 0.3, target).item()
    negative_entropy = (target * target.log()).sum(1).mean().item()
    assert output.parts["cross_entropy"].item() == pytest.approx(cross_entropy, abs=1e-12)
    assert output.parts["negative_entropy"].item() == pytest.approx(negative_entropy, abs=1e-12)
    assert output.parts["cross_entropy"].requires_grad


def test_frequencies_change_the_target_or_the_distribution_or_both():
    rows, vocabulary, labels, frequencies = example()
    several = LabelSets.from_lists(labels, 5)
    totals = {KernelKL(SoftmaxKernel(0.3), smoothing, counts, adjusted)(rows, vocabulary, several).total.item()
              for smoothing, counts, adjusted in [(0, None, False), (0.1, None, False), (0.1, frequencies, False),
                                                  (0, frequencies, True), (0.1, frequencies, True)]}
    assert len({round(total, 6) for total in totals}) == 5


@pytest.mark.parametrize("frequencies", [[5.0, 1.0, 2.0, 1.0, 9.0], [5 / 18, 1 / 18, 1 / 9, 1 / 18, 1 / 2]])
def test_counts_and_probabilities_are_the_same_frequencies(frequencies):
    rows, vocabulary, _, counts = example(torch.float32)
    one, other = (KernelKL(SoftmaxKernel(), label_frequencies_L=frequencies, logit_adjustment=True)
                  for frequencies in (torch.tensor(frequencies), counts))
    torch.testing.assert_close(one.distribution(rows, vocabulary), other.distribution(rows, vocabulary))


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_label_that_never_occurs_gets_no_probability_and_no_nan(name, smoothing):
    rows, vocabulary, labels, frequencies = example()
    frequencies[3], labels[2] = 0, [2, 4]
    objective = KernelKL(make_kernel(name, 4).double(), smoothing, frequencies.double(), logit_adjustment=True)
    assert objective.distribution(rows, vocabulary)[:, 3].eq(0).all()
    total = objective(rows, vocabulary, LabelSets.from_lists(labels, 5)).total
    others = [0, 1, 2, 4]
    fewer = KernelKL(objective.kernel, smoothing, frequencies[others].double(), logit_adjustment=True)
    renamed = LabelSets.from_lists([[others.index(label) for label in several] for several in labels], 4)
    assert total.item() == pytest.approx(fewer(rows, vocabulary[others], renamed).total.item(), abs=1e-12)
    for gradient in torch.autograd.grad(total, [rows, vocabulary, *objective.parameters()]):
        assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", KERNELS)
def test_bfloat16_rows_are_computed_with_in_float32(name):
    rows, vocabulary, labels, frequencies = example(torch.bfloat16)
    several = LabelSets.from_lists(labels, 5)
    objective = KernelKL(make_kernel(name, 4), 0.1, frequencies, logit_adjustment=True)
    total = objective(rows, vocabulary, several).total
    assert total.dtype == objective.distribution(rows, vocabulary).dtype == torch.float32
    expected, _ = reference(*in_float64(objective.kernel, rows, vocabulary), labels, 0.1, frequencies.tolist(), True)
    assert total.item() == pytest.approx(expected.item(), rel=1e-5)
    total.backward()
    assert rows.grad.dtype == torch.bfloat16


def test_frequencies_and_kernel_are_saved_with_the_objective():
    rows, vocabulary, labels, frequencies = example(torch.float32)
    one = KernelKL(make_kernel("linear", 4, seed=0), 0.1, frequencies)
    other = KernelKL(make_kernel("linear", 4, seed=1), 0.1, torch.ones(5))
    other.load_state_dict(one.state_dict())
    several = LabelSets.from_lists(labels, 5)
    assert one(rows, vocabulary, several).total == other(rows, vocabulary, several).total


def precision_at_labels(objective, rows, vocabulary, labels):
    """Share of the true labels among the first |labels| ranked."""
    ranked = objective.distribution(rows, vocabulary).argsort(dim=1, descending=True).tolist()
    return sum(len(set(ranking[:len(several)]) & set(several)) / len(several)
               for ranking, several in zip(ranked, labels, strict=True)) / len(labels)


@pytest.mark.parametrize(("name", "frozen"), [*((name, "nothing") for name in KERNELS), ("linear", "embeddings"),
                                              ("mlp", "embeddings")])
def test_descent_learns_to_rank_the_true_labels_first(name, frozen):
    rows, vocabulary = (unit_rows(size, 16, seed, torch.float32) for size, seed in ((24, 0), (12, 1)))
    labels = [several or [row % 12] for row, several in enumerate(random_labels(24, 12, 5))]
    objective = KernelKL(make_kernel(name, 16, features=64, temperature=0.5), 0.05)
    optimizer = torch.optim.Adam([*objective.parameters(), *([] if frozen == "embeddings" else [rows, vocabulary])],
                                 lr=0.03)
    several = LabelSets.from_lists(labels, 12)
    before = precision_at_labels(objective, F.normalize(rows, dim=1), F.normalize(vocabulary, dim=1), labels)
    for _ in range(120):
        optimizer.zero_grad()
        total = objective(F.normalize(rows, dim=1), F.normalize(vocabulary, dim=1), several).total
        total.backward()
        optimizer.step()
    after = precision_at_labels(objective, F.normalize(rows, dim=1), F.normalize(vocabulary, dim=1), labels)
    assert before < 0.4
    assert after == 1


def test_rows_of_the_two_sides_must_fit():
    rows, vocabulary, labels, _ = example()
    objective, several = KernelKL(SoftmaxKernel()), LabelSets.from_lists(labels, 5)
    same = "vocabulary_LD and fused_BD must have the same"
    for bad, message in [((rows, vocabulary[:, :3], several), f"{same} width"),
                         ((rows, vocabulary.float(), several), f"{same} type"),
                         ((rows, vocabulary.to("meta"), several), f"{same} device"),
                         ((rows, vocabulary * 2, several), "row 0 of vocabulary_LD has length 2"),
                         ((rows * 1.1, vocabulary, several), "row 0 of fused_BD has length 1.1"),
                         ((rows[:0], vocabulary, several), "fused_BD is empty"),
                         ((rows[:4], vocabulary, several), "labels are for 6, but there are 4 rows of fused_BD"),
                         ((rows, vocabulary[:4], several), "labels are for 5, but there are 4 labels of vocabulary_LD"),
                         ((rows, vocabulary, LabelSets.from_lists(labels, 5, device="meta")), "labels are on meta"),
                         ((rows, vocabulary, LabelSets.from_lists([[]] * 6, 5)), "labels has none in any row")]:
        with pytest.raises(ValueError, match=message):
            objective(*bad)
    with pytest.raises(ValueError, match="must have the same width"):
        objective.distribution(rows, vocabulary[:, :3])


@pytest.mark.parametrize("side", ["fused_BD", "vocabulary_LD"])
def test_nan_is_refused(side):
    rows, vocabulary, labels, _ = example()
    with torch.no_grad():
        (rows if side == "fused_BD" else vocabulary)[1, 2] = math.nan
    with pytest.raises(FloatingPointError, match=f"row 1 of {side} holds NaN"):
        KernelKL(SoftmaxKernel())(rows, vocabulary, LabelSets.from_lists(labels, 5))


@pytest.mark.parametrize("label", [5, -1])
def test_labels_outside_the_vocabulary_are_refused(label):
    with pytest.raises(ValueError, match=f"label {label} of row 1 lies outside the vocabulary of 5 labels"):
        LabelSets.from_lists([[0], [2, label]], 5)


@pytest.mark.parametrize("smoothing", [-0.1, 1, 1.5, math.nan])
def test_smoothing_out_of_range_is_refused(smoothing):
    with pytest.raises(ValueError, match="smoothing must be at least 0 and below 1"):
        KernelKL(SoftmaxKernel(), smoothing)


@pytest.mark.parametrize(("frequencies", "message"), [
    ([1, -1, 2], "must be finite and not negative"), ([1, math.nan, 2], "must be finite"),
    ([1, math.inf, 2], "must be finite"), ([0, 0, 0], "are all 0"), ([[1, 2, 3]], r"its shape is \(1, 3\)"),
    ([], "are all 0")])
def test_impossible_frequencies_are_refused(frequencies, message):
    with pytest.raises(ValueError, match=f"label_frequencies_L .*{message}"):
        KernelKL(SoftmaxKernel(), 0.1, torch.tensor(frequencies))


def test_frequencies_that_do_not_fit_are_refused():
    rows, vocabulary, labels, frequencies = example()
    several = LabelSets.from_lists(labels, 5)
    with pytest.raises(ValueError, match="label_frequencies_L are of 4 labels, but vocabulary_LD holds 5"):
        KernelKL(SoftmaxKernel(), 0.1, frequencies[:4])(rows, vocabulary, several)
    with pytest.raises(ValueError, match="logit_adjustment needs label_frequencies_L"):
        KernelKL(SoftmaxKernel(), logit_adjustment=True)
    with pytest.raises(ValueError, match="no effect without smoothing or logit_adjustment"):
        KernelKL(SoftmaxKernel(), label_frequencies_L=frequencies)
    frequencies[3] = 0
    with pytest.raises(ValueError, match="label 3 occurs, but its label_frequencies_L is 0"):
        KernelKL(SoftmaxKernel(), 0, frequencies, logit_adjustment=True)(rows, vocabulary, several)
    assert torch.isfinite(KernelKL(SoftmaxKernel(), 0.1, frequencies)(rows, vocabulary, several).total)
