"""A kernel that is saved and loaded gives the same distribution, and a damaged one is refused."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from vector_universe import UserError
from vector_universe.losses import KernelKL, LinearKernel, MLPKernel, RandomFeatureKernel, SoftmaxKernel

D, L = 12, 7
KERNELS = {"softmax": lambda: SoftmaxKernel(0.1), "linear": lambda: LinearKernel(D, 20, 0.2),
           "random": lambda: RandomFeatureKernel(D, 30, 0.7, seed=5), "mlp": lambda: MLPKernel(D, 9)}


def rows(count, seed, dtype=torch.float32):
    return F.normalize(torch.randn(count, D, generator=torch.Generator().manual_seed(seed), dtype=dtype), dim=1)


def make(kind, **settings):
    torch.manual_seed(0)
    objective = KernelKL(KERNELS[kind](), **settings)
    with torch.no_grad():  # away from where it starts
        for parameter in objective.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return objective


@pytest.fixture
def saved(tmp_path):
    make("linear", label_frequencies_L=torch.arange(L) + 1.0, logit_adjustment=True).save(tmp_path / "kernel")
    return tmp_path / "kernel"


@pytest.mark.parametrize("kind", KERNELS)
@pytest.mark.parametrize("settings", [{}, {"smoothing": 0.1},
                                      {"label_frequencies_L": torch.rand(L) + 0.1, "logit_adjustment": True},
                                      {"label_frequencies_L": torch.rand(L) + 0.1, "smoothing": 0.2}])
def test_what_is_loaded_is_what_was_saved_to_the_bit(kind, settings, tmp_path):
    objective = make(kind, **settings)
    objective.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kernel.json", "kernel.safetensors"]
    torch.manual_seed(1)
    loaded = KernelKL.load(tmp_path)
    assert torch.equal(loaded.distribution(rows(4, 1), rows(L, 2)), objective.distribution(rows(4, 1), rows(L, 2)))
    assert loaded.state_dict().keys() == objective.state_dict().keys()
    assert all(torch.equal(tensor, objective.state_dict()[name]) for name, tensor in loaded.state_dict().items())
    assert (loaded.smoothing, loaded.logit_adjustment) == (objective.smoothing, objective.logit_adjustment)
    assert not loaded.training
    assert all(parameter.requires_grad for parameter in loaded.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_the_type_of_the_weights_stays(dtype, tmp_path):
    make("mlp").to(dtype).save(tmp_path)
    assert {parameter.dtype for parameter in KernelKL.load(tmp_path).parameters()} == {dtype}


def test_another_kernel_takes_the_place_of_the_first(saved):
    objective = make("mlp", smoothing=0.1)
    objective.save(saved)
    assert torch.equal(KernelKL.load(saved).distribution(rows(4, 1), rows(L, 2)),
                       objective.distribution(rows(4, 1), rows(L, 2)))


def test_a_kernel_of_one_s_own_is_refused_before_anything_is_written(tmp_path):
    class Own(SoftmaxKernel):
        pass

    for kernel in (Own(), nn.Identity()):
        with pytest.raises(ValueError, match=r"a (Own|Identity) cannot be saved, only SoftmaxKernel"):
            KernelKL(kernel).save(tmp_path / "kernel")
    assert not (tmp_path / "kernel").exists()


def change(saved, **entries):
    found = json.loads((saved / "kernel.json").read_text())
    for name, settings in entries.items():
        found[name] = found[name] | settings if isinstance(settings, dict) else settings
    (saved / "kernel.json").write_text(json.dumps(found))


def tensors(saved, change):
    stored = load_file(saved / "kernel.safetensors")
    change(stored)
    save_file(stored, saved / "kernel.safetensors")


@pytest.mark.parametrize("damage", [
    lambda saved: (saved / "kernel.json").unlink(),
    lambda saved: (saved / "kernel.safetensors").unlink(),
    lambda saved: (saved / "kernel.json").write_text("{"),
    lambda saved: (saved / "kernel.json").write_text("[]"),
    lambda saved: (saved / "kernel.safetensors").write_bytes(b"x" * 40),
    lambda saved: change(saved, format="another"),
    lambda saved: change(saved, kernel={"kind": "magic"}),
    lambda saved: change(saved, kernel={"kind": "mlp"}),
    lambda saved: change(saved, kernel={"features": 21}),
    lambda saved: change(saved, kernel={"features": -1}),
    lambda saved: change(saved, kernel={"features": "many"}),
    lambda saved: change(saved, objective={"smoothing": 2}),
    lambda saved: change(saved, objective={"nonsense": 2}),
    lambda saved: tensors(saved, lambda stored: stored.pop("prior_L")),
    lambda saved: tensors(saved, lambda stored: stored.pop("kernel.query_map.weight")),
    lambda saved: tensors(saved, lambda stored: stored["kernel.query_map.weight"].fill_(torch.nan)),
    lambda saved: tensors(saved, lambda stored: stored["prior_L"].fill_(-1)),
    lambda saved: tensors(saved, lambda stored: stored.update(more=torch.ones(1)))])
def test_a_damaged_kernel_is_refused_in_one_line(damage, saved):
    damage(saved)
    with pytest.raises(UserError, match=r"holds no kernel that can be read \(.*\): give the kernel/ of a run") as error:
        KernelKL.load(saved)
    assert "\n" not in str(error.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="No such file or directory"):
        KernelKL.load(tmp_path / "nowhere")
