"""Kernels against loops over their definitions, random features against the kernel that they estimate."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from vector_universe.losses.feature_maps import LinearKernel, MLPKernel, RandomFeatureKernel, SoftmaxKernel

KERNELS = ["softmax", "linear", "random_features", "mlp"]


def make_kernel(name, width, features=6, temperature=0.3, seed=0):
    """A kernel in the middle of its training: ψ and φ differ."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        kernel = {"softmax": lambda: SoftmaxKernel(temperature),
                  "linear": lambda: LinearKernel(width, features, temperature),
                  "random_features": lambda: RandomFeatureKernel(width, features, temperature, seed),
                  "mlp": lambda: MLPKernel(width, features)}[name]()
        with torch.no_grad():
            for parameter in kernel.parameters():
                parameter += torch.randn_like(parameter) / parameter.shape[-1] ** 0.5
    return kernel


def unit_rows(size, width, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(size, width, generator=draw, dtype=torch.float64), dim=1).to(dtype).requires_grad_()


def score(kernel, x, y):
    """log k(x, y) of two vectors, by the definition."""
    if isinstance(kernel, SoftmaxKernel):
        return torch.dot(x, y) / kernel.temperature
    if isinstance(kernel, LinearKernel):
        return sum(torch.dot(u, x) * torch.dot(v, y) for u, v in zip(kernel.query_map.weight, kernel.label_map.weight,
                                                                     strict=True)) / kernel.temperature
    if isinstance(kernel, RandomFeatureKernel):
        def positive(omega, z):
            tau = kernel.temperature
            return torch.exp(torch.dot(omega, z) / math.sqrt(tau) - torch.dot(z, z) / (2 * tau))
        return torch.log(sum(positive(omega, x) * positive(omega, y) for omega in kernel.omega_FD)
                         / len(kernel.omega_FD))
    return torch.log(sum(p * q for p, q in zip(mlp(kernel.query_map, x), mlp(kernel.label_map, y), strict=True)))


def mlp(layers, z):
    """The positive features of one vector, a list."""
    hidden = [torch.dot(w, z * math.sqrt(len(z))) + b
              for w, b in zip(layers.hidden.weight, layers.hidden.bias, strict=True)]
    hidden = [h * (1 + torch.erf(h / math.sqrt(2))) / 2 for h in hidden]
    output = [sum(w[i] * h for i, h in enumerate(hidden)) + b
              for w, b in zip(layers.output.weight, layers.output.bias, strict=True)]
    return [torch.log(1 + torch.exp(u)) + 1e-6 for u in output]


def reference_log_scores(kernel, queries, labels):
    return torch.stack([torch.stack([score(kernel, x, y) for y in labels]) for x in queries])


def in_float64(kernel, *embeddings):
    """Copies of the kernel and its inputs, to differentiate on their own."""
    return copy.deepcopy(kernel).double(), *(rows.detach().double().requires_grad_() for rows in embeddings)


def assert_same(found, inputs, expected, expected_inputs, tolerance):
    """Equal values, and equal gradients for every input, relative to the largest element.

    Below 0.1 the tolerance stays that of 0.1: summands of about 1 cancel there.
    """
    for ours, theirs in zip([found, *torch.autograd.grad(found.sum(), inputs)],
                            [expected, *torch.autograd.grad(expected.sum(), expected_inputs)], strict=True):
        assert torch.isfinite(ours).all()
        largest = max(theirs.abs().max().item(), 0.1)
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=0, atol=tolerance * largest)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("name", KERNELS)
@settings(max_examples=8, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.sampled_from([0.1, 0.5, 1, 10]),
       st.integers(0, 1000))
def test_scores_and_gradients_equal_the_definition(name, dtype, tolerance, size, labels, width, features, temperature,
                                                   seed):
    kernel = make_kernel(name, width, features, temperature, seed).to(dtype)
    rows = unit_rows(size, width, seed, dtype), unit_rows(labels, width, seed + 1, dtype)
    reference, *reference_rows = in_float64(kernel, *rows)
    found, expected = kernel(*rows), reference_log_scores(reference, *reference_rows)
    assert found.dtype == dtype
    assert found.shape == (size, labels)
    # uneven weights, so that a mistake cannot hide in a sum over labels
    weights = torch.randn(size, labels, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert_same(found * weights.to(dtype), [*rows, *kernel.parameters()], expected * weights,
                [*reference_rows, *reference.parameters()], tolerance)


@pytest.mark.parametrize("name", ["softmax", "linear", "random_features"])
@pytest.mark.parametrize("temperature", [0.01, 100.0])
def test_extreme_temperatures_stay_exact_in_float32(name, temperature):
    """At 0.01 a random feature of a unit row lies between exp(-90) and exp(-10), and rows may be opposite."""
    kernel = make_kernel(name, 8, features=256 if name == "random_features" else 4, temperature=temperature)
    queries = unit_rows(4, 8, dtype=torch.float32)
    labels = torch.cat([queries.detach(), -queries.detach(), unit_rows(2, 8, 1, torch.float32).detach()])
    labels.requires_grad_()
    reference, *reference_rows = in_float64(kernel, queries, labels)
    found = kernel(queries, labels).log_softmax(1)
    if name == "random_features":  # float64 holds every feature, so that the plain logarithm of the sum will do
        expected = (reference.log_features(reference_rows[0])[:, None]
                    + reference.log_features(reference_rows[1])).logsumexp(2).log_softmax(1)
    else:
        expected = reference_log_scores(reference, *reference_rows).log_softmax(1)
    weights = torch.arange(40.0).reshape(4, 10).cos()
    assert_same(found * weights, [queries, labels], expected * weights, reference_rows, 3e-5)


@pytest.mark.parametrize("temperature", [1e-3, 1e-5])
def test_random_features_never_overflow(temperature):
    kernel = make_kernel("random_features", 8, features=256, temperature=temperature)
    queries, labels = unit_rows(4, 8, dtype=torch.float32), unit_rows(9, 8, 1, dtype=torch.float32)
    found = kernel(queries, torch.cat([labels, -queries]))
    assert torch.isfinite(found).all()
    for gradient in torch.autograd.grad(found.log_softmax(1)[:, 3].sum(), [queries, labels]):
        assert torch.isfinite(gradient).all()


def test_random_features_tell_labels_apart_that_are_all_far_from_the_row():
    """Every ψ(x)ᵀφ(y) is about exp(-1000) here: one shift for all features would leave none of them."""
    kernel = make_kernel("random_features", 8, features=256, temperature=1e-3)
    queries = unit_rows(1, 8, dtype=torch.float32)
    labels = F.normalize(0.1 * unit_rows(5, 8, 1, torch.float32) - queries, dim=1).detach().requires_grad_()
    reference, *reference_rows = in_float64(kernel, queries, labels)
    features = reference.log_features(reference_rows[0]), reference.log_features(reference_rows[1])
    expected = (features[0][:, None] + features[1]).logsumexp(2).log_softmax(1)
    weights = torch.arange(5.0).cos()
    assert (expected.max() - expected.min()) > 0.5
    assert_same(kernel(queries, labels).log_softmax(1) * weights, [queries, labels], expected * weights,
                reference_rows, 3e-5)


def relative_errors(features, repeats):
    """(repeats, 5, 7) errors of random features relative to the exact kernel at temperature 1."""
    queries, labels = unit_rows(5, 16), unit_rows(7, 16, 1)
    exact = SoftmaxKernel(1)(queries, labels)
    kernel = RandomFeatureKernel(16, features * repeats, temperature=1).double()
    errors = []
    for omega in kernel.omega_FD.split(features):  # whole blocks, so as good as kernels of other seeds
        kernel.omega_FD = omega
        errors.append((kernel(queries, labels) - exact).exp() - 1)
    return torch.stack(errors).detach()


def test_random_features_are_unbiased_and_within_the_bound_of_the_paper():
    """Lemma 2 of Choromanski et al. gives the squared error of independent features; orthogonal ones are no worse."""
    errors = relative_errors(features=32, repeats=2000)
    assert (errors.mean(0).abs() < 4.5 * errors.std(0) / 2000 ** 0.5).all()
    sums = unit_rows(5, 16)[:, None] + unit_rows(7, 16, 1)
    bound = (sums.square().sum(-1).exp() - 1) / 32
    assert errors.square().mean() < bound.mean()


def test_the_error_of_random_features_falls_with_the_root_of_their_number():
    small, large = (relative_errors(features, repeats=40).square().mean().sqrt() for features in (64, 1024))
    assert 4 / 1.3 < small / large < 4 * 1.3


def test_many_random_features_give_the_softmax_distribution():
    queries, labels = unit_rows(5, 16), unit_rows(7, 16, 1)
    exact = SoftmaxKernel(0.5)(queries, labels).softmax(1)
    found = RandomFeatureKernel(16, 2 ** 15, 0.5).double()(queries, labels).softmax(1)
    assert (found - exact).abs().max() < 0.02 < exact.std()


def test_random_features_are_orthogonal_in_blocks_and_as_long_as_gaussian_ones():
    omega = RandomFeatureKernel(16, 1600).omega_FD
    for block in F.normalize(omega, dim=1).split(16):
        torch.testing.assert_close(block @ block.T, torch.eye(16), atol=1e-5, rtol=0)
    assert omega.square().sum(1).mean().item() == pytest.approx(16, rel=0.03)
    assert omega.square().sum(1).var().item() == pytest.approx(32, rel=0.2)  # that of chi-square
    assert omega.mean().abs() < 0.02


def test_random_features_follow_from_the_seed_and_are_saved():
    one, same, other = (RandomFeatureKernel(5, 12, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(one.omega_FD, same.omega_FD)
    assert not torch.equal(one.omega_FD, other.omega_FD)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one.omega_FD, other.omega_FD)
    assert not list(one.parameters())


@pytest.mark.parametrize("name", ["random_features", "mlp"])
def test_positive_features_give_the_normaliser_without_scores(name):
    kernel = make_kernel(name, 5).double()
    queries, labels = unit_rows(4, 5), unit_rows(30, 5, 1)
    psi, phi = ((kernel.log_features(queries).exp(), kernel.log_features(labels).exp()) if name == "random_features"
                else (kernel.query_map(queries), kernel.label_map(labels)))
    assert (psi > 0).all()
    torch.testing.assert_close(psi @ phi.sum(0), kernel(queries, labels).exp().sum(1), rtol=1e-10, atol=0)


@pytest.mark.parametrize("features", [16, 40])
def test_a_linear_kernel_starts_as_the_cosine(features):
    queries, labels = unit_rows(20, 16, dtype=torch.float32), unit_rows(30, 16, 1, dtype=torch.float32)
    torch.testing.assert_close(LinearKernel(16, features, temperature=0.5)(queries, labels), queries @ labels.T / 0.5,
                               atol=1e-5, rtol=0)


def test_a_narrow_linear_kernel_starts_as_a_projection_that_keeps_the_cosine_on_average():
    """E[UᵀU] = 1 where U has random orthogonal rows of squared length D / F."""
    kernel = LinearKernel(16, 4)
    torch.testing.assert_close(kernel.query_map.weight @ kernel.query_map.weight.T, 4 * torch.eye(4))
    assert torch.equal(kernel.query_map.weight, kernel.label_map.weight)


def test_an_mlp_kernel_starts_as_a_similarity():
    torch.manual_seed(0)
    rows = unit_rows(50, 16, dtype=torch.float32)
    scores = MLPKernel(16, 64)(rows, rows)
    torch.testing.assert_close(scores, scores.T)
    assert (scores.diagonal()[:, None] + scores.diagonal() - 2 * scores)[~torch.eye(50).bool()].min() > 0


def test_an_mlp_kernel_stays_finite_where_no_feature_is_left():
    kernel = make_kernel("mlp", 4, features=8)
    with torch.no_grad():
        kernel.query_map.output.bias -= 200
        kernel.label_map.output.bias -= 200
    scores = kernel(unit_rows(3, 4, dtype=torch.float32), unit_rows(5, 4, 1, torch.float32))
    torch.testing.assert_close(scores, torch.full((3, 5), math.log(8e-12)))


@pytest.mark.parametrize("name", KERNELS)
def test_bfloat16_rows_and_parameters_are_computed_with_in_float32(name):
    kernel = make_kernel(name, 8)
    queries, labels = unit_rows(4, 8, dtype=torch.bfloat16), unit_rows(5, 8, 1, dtype=torch.bfloat16)
    assert torch.equal(kernel(queries, labels), kernel(queries.float(), labels.float()))
    rounded = copy.deepcopy(kernel).bfloat16()
    assert torch.equal(rounded(queries, labels), copy.deepcopy(rounded).float()(queries.float(), labels.float()))


@pytest.mark.parametrize("name", KERNELS)
def test_no_tensor_is_larger_than_the_scores_or_the_features(name):
    """Each of the products B·L·F, B·L·D, B·F·D is at least eight times as large as what is allowed."""
    size, labels, features, width = 64, 48, 40, 8

    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, (tuple, list)) else [result]:
                if isinstance(tensor, torch.Tensor):
                    Largest.elements = max(Largest.elements, tensor.untyped_storage().nbytes() // 4)
            return result

    kernel = make_kernel(name, width, features)
    queries, rows = unit_rows(size, width, dtype=torch.float32), unit_rows(labels, width, 1, dtype=torch.float32)
    with Largest():
        kernel(queries, rows).log_softmax(1)[:, 0].sum().backward()
    assert size * width < Largest.elements <= max(size * labels, size * features)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
@pytest.mark.parametrize(("make", "name"), [
    (SoftmaxKernel, "temperature"),
    (lambda value: LinearKernel(4, 4, value), "temperature"),
    (lambda value: LinearKernel(4, value), "features"),
    (lambda value: RandomFeatureKernel(4, 4, value), "temperature"),
    (lambda value: RandomFeatureKernel(value), "width"),
    (lambda value: MLPKernel(4, value), "features")])
def test_settings_must_be_positive(make, name, value):
    with pytest.raises(ValueError, match=f"{name} must be a positive number: it is {value}"):
        make(value)


@pytest.mark.parametrize("name", ["linear", "random_features", "mlp"])
def test_rows_of_another_width_are_refused(name):
    with pytest.raises(ValueError, match=r"width 4, but the queries are \(2, 5\) and the labels \(3, 5\)"):
        make_kernel(name, 4)(torch.zeros(2, 5), torch.zeros(3, 5))
