"""The cache of activations: what comes out is what went in, bit by bit, within the budget, whatever the disk does."""

from __future__ import annotations

import errno
import os
import resource
import signal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vector_universe.training import activation_cache
from vector_universe.training.activation_cache import ActivationCache

MANY = 2**40
SHAPES = st.sampled_from([(3,), (0,), (), (2, 4), (5, 4), (2, 3, 4)])


def tensor_of(shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def same(found, expected):
    return found.dtype == expected.dtype and found.shape == expected.shape and torch.equal(found, expected)


@settings(deadline=None, max_examples=60)
@given(dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64]), budget=st.integers(0, 400),
       puts=st.lists(st.tuples(st.integers(0, 2), st.lists(st.tuples(st.integers(0, 6), SHAPES), max_size=4)),
                     max_size=8))
def test_as_a_dict_does(tmp_path_factory, dtype, budget, puts):
    expected, held, full = {}, 0, False
    with ActivationCache(tmp_path_factory.mktemp("cache"), budget) as cache:
        for number, (view, items) in enumerate(puts):
            rows = [row for row, _ in items]
            assert cache.missing(rows, view) == [place for place, row in enumerate(rows) if (row, view) not in expected]
            tensors = [tensor_of(shape, dtype, number) for _, shape in items]
            cache.put(rows, view, tensors)
            for row, tensor in zip(rows, tensors, strict=True):
                if (row, view) in expected:
                    continue
                full = full or held + tensor.nbytes > budget
                if not full:
                    expected[row, view] = tensor
                    held += tensor.nbytes
            assert (cache.full, cache.nbytes) == (full, held)
            assert cache.path.stat().st_size == held <= budget
        for (row, view), tensor in expected.items():
            assert same(cache.get([row], view)[0], tensor)
        for view in range(3):
            rows = [row for row, of in reversed(expected) if of == view] * 2
            assert all(same(found, expected[row, view])
                       for row, found in zip(rows, cache.get(rows, view), strict=True))


def test_bits_survive(tmp_path):
    odd = torch.tensor([float("nan"), -0.0, float("inf"), 1e-40, 3.14159])
    with ActivationCache(tmp_path / "a" / "b", MANY) as cache:
        cache.put([1], 0, [odd])
        assert torch.equal(cache.get([1], 0)[0].view(torch.int32), odd.view(torch.int32))


def test_parts_of_a_batch_with_gradient_can_be_put(tmp_path):
    batch = tensor_of((4, 6, 5)).requires_grad_()
    with ActivationCache(tmp_path, MANY) as cache:
        cache.put(range(4), 0, [row[:length].T for row, length in zip(batch, (6, 1, 3, 2), strict=True)])
        for number, length in enumerate((6, 1, 3, 2)):
            assert same(cache.get([number], 0)[0], batch[number, :length].T.detach())
        cache.get([0], 0)[0].zero_()  # memory of its own
        assert cache.get([0], 0)[0].any()


def test_what_a_kill_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / activation_cache.FILE_NAME).write_bytes(b"x" * 100)
    (tmp_path / "mine.txt").write_text("mine")
    cache = ActivationCache(tmp_path, MANY)
    assert cache.path.stat().st_size == 0
    assert cache.missing([0], 0) == [0]
    cache.put([0], 0, [tensor_of((3,))])
    cache.close()
    cache.close()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ValueError, match="closed"):
        cache.put([0], 0, [tensor_of((3,))])
    with pytest.raises(KeyError):
        cache.get([0], 0)


def test_one_dtype(tmp_path):
    with ActivationCache(tmp_path, MANY) as cache:
        cache.put([0], 0, [tensor_of((3,), torch.bfloat16)])
        with pytest.raises(ValueError, match=r"a tensor of torch\.float32 for a cache of torch\.bfloat16"):
            cache.put([1], 0, [tensor_of((3,))])
        assert cache.missing([0, 1], 0) == [1]


def test_past_the_budget_nothing_more_is_kept(tmp_path):
    with ActivationCache(tmp_path, 100) as cache:
        cache.put([0, 1, 2], 0, [tensor_of((10,), seed=seed) for seed in range(3)])
        assert cache.full
        cache.put([3], 0, [tensor_of((1,))])  # it would fit; but what is kept must not depend on luck
        assert cache.missing([0, 1, 2, 3], 0) == [2, 3]
        assert same(cache.get([1], 0)[0], tensor_of((10,), seed=1))


@pytest.mark.parametrize("written", [0, 7])
def test_a_full_disk_is_an_error_and_leaves_no_half_entry(tmp_path, monkeypatch, written):
    pwrite = os.pwrite

    def full(file, data, place):
        if len(data) <= 40 - written or not written:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(file, data[:written], place)

    with ActivationCache(tmp_path, MANY) as cache:
        cache.put([0], 0, [tensor_of((10,))])
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left") as caught:
            cache.put([1, 2], 0, [tensor_of((10,), seed=1), tensor_of((10,), seed=2)])
        assert caught.value.filename == str(cache.path)
        assert caught.value.errno == errno.ENOSPC
        assert cache.missing([0, 1, 2], 0) == [1, 2]
        monkeypatch.setattr(os, "pwrite", pwrite)
        cache.put([2], 0, [tensor_of((10,), seed=2)])  # over what was half written
        assert same(cache.get([0], 0)[0], tensor_of((10,)))
        assert same(cache.get([2], 0)[0], tensor_of((10,), seed=2))


def test_a_limit_of_the_system(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with ActivationCache(tmp_path, MANY) as cache:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
            with pytest.raises(OSError, match=r"activations\.bin"):
                cache.put(range(3), 0, [tensor_of((100,), seed=seed) for seed in range(3)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        assert cache.missing(range(3), 0) == [2]
        assert same(cache.get([1], 0)[0], tensor_of((100,), seed=1))


def test_a_file_that_was_cut_short_is_an_error(tmp_path):
    with ActivationCache(tmp_path, MANY) as cache:
        cache.put([0], 0, [tensor_of((10,))])
        os.truncate(cache.path, 20)
        with pytest.raises(OSError, match="shorter than it was") as caught:
            cache.get([0], 0)
        assert caught.value.filename == str(cache.path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        ActivationCache(tmp_path / "file" / "cache", MANY)
