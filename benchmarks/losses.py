"""Time and memory of the objectives: `python -m benchmarks.losses [--quick]`.

Every measurement runs in a process of its own, so that its peak memory is its own; the peers are restated here from
their papers and compared in value first. Times are medians; the sides of a ratio take turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.report import report
from vector_universe.losses import AlignmentAnisotropy, InfoNCE
from vector_universe.losses.tiles import TILE

WIDTH = 512
SCALE = 14.3  # CLIP's start


def main() -> None:
    """Measure everything, or in a child process the one thing that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one repeat, a quarter of each batch (its rows say so)")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(MEASUREMENTS[options.measure.split(":")[0]](*map(int, options.measure.split(":")[1:]))))
        return
    shrink, repeats = (4, 1) if options.quick else (1, 3)

    def row(case: str, **figures: float) -> None:
        for metric, value in figures.items():
            report(case, metric, value, note=f"batch / {shrink}" if options.quick else "")

    size = 16384 // shrink
    seconds = _child("speed", size, repeats)
    extra = {name: _child("memory", which, size)["extra_gb"] for which, name in enumerate(STEPS)}
    row("info_nce_16384", seconds=seconds["ours"], time_vs_open_clip=seconds["ours"] / seconds["open_clip"],
        time_vs_dense=seconds["ours"] / seconds["dense"],
        time_vs_two_pass_tiles=seconds["ours"] / seconds["two_pass_tiles"],
        time_vs_own_matmul=seconds["ours"] / seconds["own_matmul"], extra_memory_gb=extra["ours"],
        memory_vs_open_clip=extra["ours"] / extra["open_clip"], memory_vs_dense=extra["ours"] / extra["dense"])
    row("info_nce_32768", peak_rss_gb=_child("memory", 0, 32768 // shrink)["peak_gb"])
    row("info_nce_bf16", **_child("bf16", 4096 // shrink, repeats))
    for processes in (1, 2, 4):
        row(f"info_nce_sharded_{processes}", extra_memory_gb=_sharded_memory(processes, size))
    row("anisotropy_mean_256", **_child("anisotropy_loop", 256 // shrink))
    row("anisotropy_mean_32768", **_child("anisotropy_doubling", 32768 // shrink, 5))
    if torch.cuda.is_available():
        for size in (65536, 131072):
            row(f"info_nce_gpu_{size}", **_child("gpu", size // shrink, repeats))


def open_clip(images_BD: Tensor, texts_BD: Tensor, logit_scale: Tensor) -> Tensor:
    """Two dense products and two cross-entropies, as open_clip computes its loss on one device."""
    right_B = torch.arange(len(images_BD), device=images_BD.device)
    per_image_BB = logit_scale.exp() * images_BD @ texts_BD.T
    per_text_BB = logit_scale.exp() * texts_BD @ images_BD.T
    return (F.cross_entropy(per_image_BB, right_B) + F.cross_entropy(per_text_BB, right_B)) / 2


def dense(images_BD: Tensor, texts_BD: Tensor, logit_scale: Tensor) -> Tensor:
    """One dense product and two cross-entropies (Radford et al. 2021, figure 3)."""
    right_B = torch.arange(len(images_BD), device=images_BD.device)
    logits_BB = logit_scale.exp() * images_BD @ texts_BD.T
    return (F.cross_entropy(logits_BB, right_B) + F.cross_entropy(logits_BB.T, right_B)) / 2


def ours(images_BD: Tensor, texts_BD: Tensor, logit_scale: Tensor) -> Tensor:
    """The product's own."""
    return InfoNCE()(images_BD, texts_BD, logit_scale).total


STEPS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"ours": ours, "open_clip": open_clip, "dense": dense}


def two_pass_tiles(images_BD: Tensor, texts_BD: Tensor, logit_scale: Tensor) -> tuple[Tensor, Tensor]:
    """The two gradients when each direction has tiles of its own, and each gradient of it computes them once more (as
    Inf-CL does, Cheng et al. 2024): 4·B²·D operations forward, 16·B²·D back."""
    scale = logit_scale.exp()
    gradients = torch.zeros_like(images_BD), torch.zeros_like(texts_BD)
    tile = TILE["cpu"]
    for rows_BD, columns_BD, (for_rows, for_columns) in ((images_BD, texts_BD, gradients),
                                                         (texts_BD, images_BD, gradients[::-1])):
        sums_B = torch.zeros(len(rows_BD))
        for i in range(0, len(rows_BD), tile):
            for j in range(0, len(columns_BD), tile):
                logits = (scale * rows_BD[i:i + tile]) @ columns_BD[j:j + tile].T
                sums_B[i:i + tile] += logits.sub_(scale).exp_().sum(1)
        for kept in (for_rows, for_columns):
            for i in range(0, len(rows_BD), tile):
                for j in range(0, len(columns_BD), tile):
                    logits = (scale * rows_BD[i:i + tile]) @ columns_BD[j:j + tile].T
                    weights = logits.sub_(scale).exp_().mul_((0.5 / len(rows_BD) / sums_B[i:i + tile])[:, None])
                    if kept is for_rows:
                        kept[i:i + tile].addmm_(weights, columns_BD[j:j + tile], alpha=scale.item())
                    else:
                        kept[j:j + tile].addmm_(weights.T, rows_BD[i:i + tile], alpha=scale.item())
    for_images, for_texts = gradients
    return for_images.sub_(scale / len(images_BD) * texts_BD), for_texts.sub_(scale / len(texts_BD) * images_BD)


def own_matmul(images_BD: Tensor, texts_BD: Tensor) -> None:
    """The products of ours and nothing else, on the same tiles."""
    tile = TILE["cpu"]
    logits = torch.empty(tile, tile)
    gradients = torch.zeros_like(images_BD), torch.zeros_like(texts_BD)
    spans = [(slice(i, i + tile), slice(j, j + tile)) for i in range(0, len(images_BD), tile)
             for j in range(0, len(texts_BD), tile)]
    for rows, columns in spans:
        torch.mm(images_BD[rows], texts_BD[columns].T, out=logits)
    for rows, columns in spans:
        torch.mm(images_BD[rows], texts_BD[columns].T, out=logits)
        gradients[0][rows].addmm_(logits, texts_BD[columns])
        gradients[1][columns].addmm_(logits.T, images_BD[rows])


def speed(size: int, repeats: int) -> dict[str, float]:
    """Median seconds of a forward and backward pass, the forms taking turns; their values and gradients agree."""
    inputs = _batch(size)
    plain = [tensor.detach() for tensor in inputs]
    few = [*(tensor.detach()[:2048].requires_grad_() for tensor in inputs[:2]), inputs[2]]
    mine = torch.autograd.grad(ours(*few), few)
    for peer in (open_clip, dense):
        assert abs(ours(*few).item() - peer(*few).item()) < 1e-4
        for one, other in zip(mine, torch.autograd.grad(peer(*few), few), strict=True):
            assert (one - other).norm() <= 1e-4 * other.norm()
    for one, other in zip(mine, two_pass_tiles(*(tensor.detach() for tensor in few)), strict=False):
        assert (one - other).norm() <= 1e-4 * other.norm()
    forms = {name: (lambda form=form: torch.autograd.grad(form(*inputs), inputs)) for name, form in STEPS.items()}
    forms["own_matmul"] = lambda: own_matmul(*plain[:2])
    forms["two_pass_tiles"] = lambda: two_pass_tiles(*plain)
    return _medians(forms, repeats, warm=False)  # they have just been run


def memory(which: int, size: int) -> dict[str, float]:
    """Peak resident memory of the process, and what a step adds to that of its inputs, in GB."""
    step = list(STEPS.values())[which]
    inputs = _batch(size)
    warm = _batch(64)
    torch.autograd.grad(step(*warm), warm)
    with _PeakMemory() as peak:
        torch.autograd.grad(step(*inputs), inputs)
    return {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, "extra_gb": peak.extra_gb}


def bf16(size: int, repeats: int) -> dict[str, float]:
    """bfloat16 tiles against float32 ones; fast only where the processor multiplies bfloat16 itself."""
    inputs = _batch(size)
    objective = InfoNCE(tile_dtype=torch.bfloat16)
    exact, rounded = (torch.autograd.grad(form(*inputs), inputs)[:2]
                      for form in (ours, lambda *given: objective(*given).total))
    seconds = _medians({"fp32": lambda: torch.autograd.grad(ours(*inputs), inputs),
                        "bf16": lambda: torch.autograd.grad(objective(*inputs).total, inputs)}, repeats)
    cosine = F.cosine_similarity(*(torch.cat(rows).double().flatten() for rows in (exact, rounded)), dim=0)
    return {"time_vs_fp32": seconds["bf16"] / seconds["fp32"], "gradient_cosine": cosine.item()}


def anisotropy_loop(size: int) -> dict[str, float]:
    """The mean form as it is written, in nested loops over pairs, against the closed form, both on one thread."""
    torch.set_num_threads(1)
    images, texts, other_images, other_texts = (_rows(size, seed) for seed in range(4))
    objective = AlignmentAnisotropy("mean")
    started = time.perf_counter()
    total = 0.0
    for i in range(size):
        for j in range(size):
            if j != i:
                total += float(images[i] @ images[j] + other_texts[i] @ other_texts[j] + images[i] @ texts[j]
                               + other_images[i] @ other_texts[j]) / size
    loop_seconds = time.perf_counter() - started
    closed = objective(images, texts, other_images, other_texts).parts["anisotropy"].item()
    seconds = _medians({"closed": lambda: objective(images, texts, other_images, other_texts)}, 50)["closed"]
    return {"speedup_vs_loop": loop_seconds / seconds,
            "relative_difference": abs(closed - total / size) / abs(total / size)}


def anisotropy_doubling(size: int, repeats: int) -> dict[str, float]:
    """Time at twice the batch over time at the batch, forward and backward."""
    objective = AlignmentAnisotropy("mean")

    def step(rows: list[Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(objective(*rows).total, rows)

    once, twice = ([_rows(count, seed).requires_grad_() for seed in range(4)] for count in (size, 2 * size))
    seconds = _medians({"once": step(once), "twice": step(twice)}, repeats)
    return {"doubling_cost": seconds["twice"] / seconds["once"]}


def gpu(size: int, repeats: int) -> dict[str, float]:
    """bfloat16 tiles on a GPU: time, memory, share of the peak that its own products reach, and the dense form."""
    inputs = [tensor.detach().cuda().requires_grad_() for tensor in _batch(size)]
    objective = InfoNCE(tile_dtype=torch.bfloat16)

    def seconds_of(step: Callable[[], object]) -> float:
        return _medians({"step": lambda: (step(), torch.cuda.synchronize())}, repeats)["step"]

    peak = _matmul_peak(seconds_of)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    seconds = seconds_of(lambda: torch.autograd.grad(objective(*inputs).total, inputs))
    figures = {"seconds": seconds, "share_of_matmul_peak": 8 * size**2 * WIDTH / seconds / peak,
               "extra_memory_gb": (torch.cuda.max_memory_allocated() - before) / 2**30}
    try:
        with torch.autocast("cuda", torch.bfloat16):
            figures["time_vs_dense"] = seconds / seconds_of(lambda: torch.autograd.grad(dense(*inputs), inputs))
    except torch.cuda.OutOfMemoryError:
        print(f"the dense form does not fit at {size}", file=sys.stderr)
    return figures


def _matmul_peak(seconds_of: Callable[[Callable[[], object]], float]) -> float:
    """Operations a second of one large bfloat16 product."""
    square = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    return 2 * 8192**3 / seconds_of(lambda: square @ square)


def shard(rank: int, size: int, rows: int) -> dict[str, float]:
    """Extra memory of one of `size` processes that share a batch of `rows`; they meet in a file of that folder."""
    from torch.distributed import group, init_process_group
    torch.set_num_threads(1)
    process_group = None
    if size > 1:
        init_process_group("gloo", init_method=Path("meeting").resolve().as_uri(), rank=rank, world_size=size)
        process_group = group.WORLD
    objective = InfoNCE(process_group=process_group)
    for count in (64, rows // size):
        inputs = _batch(count)
        with _PeakMemory() as peak:
            torch.autograd.grad(objective(*inputs).total, inputs)
    return {"extra_gb": peak.extra_gb}


MEASUREMENTS: dict[str, Callable[..., dict[str, float]]] = {
    function.__name__: function
    for function in (speed, memory, bf16, anisotropy_loop, anisotropy_doubling, gpu, shard)}


class _PeakMemory:
    """Watches how far the resident memory of this process rises above where it stood."""

    def __enter__(self) -> _PeakMemory:
        self.start = self.highest = _resident_gb()
        self.running = True
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.running = False
        self.thread.join()
        self.extra_gb = self.highest - self.start

    def _watch(self) -> None:
        while self.running:
            self.highest = max(self.highest, _resident_gb())
            time.sleep(0.002)


def _resident_gb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**30


def _rows(size: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(size, WIDTH, generator=torch.Generator().manual_seed(seed)), dim=1)


def _batch(size: int) -> list[Tensor]:
    """Images, texts near their images, and the logarithm of the scale."""
    images = _rows(size, 0)
    texts = F.normalize(0.3 * images + 0.95 * _rows(size, 1), dim=1)
    return [images.requires_grad_(), texts.requires_grad_(), torch.tensor(SCALE).log().requires_grad_()]


def _medians(forms: dict[str, Callable[[], object]], repeats: int, warm: bool = True) -> dict[str, float]:
    """Median seconds of each form; they take turns, so that a busy minute falls on all of them."""
    taken: dict[str, list[float]] = {name: [] for name in forms}
    if warm:
        for form in forms.values():
            form()
    for _ in range(repeats):
        for name, form in forms.items():
            started = time.perf_counter()
            form()
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def _command(name: str, *numbers: int) -> list[str]:
    return [sys.executable, "-m", "benchmarks.losses", "--measure", ":".join([name, *map(str, numbers)])]


def _child(name: str, *numbers: int) -> dict[str, float]:
    """What a measurement found, in a process of its own."""
    return json.loads(subprocess.run(_command(name, *numbers), stdout=subprocess.PIPE, check=True).stdout)


def _sharded_memory(processes: int, rows: int) -> float:
    """The largest extra memory among processes that share a batch."""
    root = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as folder:
        children = [subprocess.Popen(_command("shard", rank, processes, rows), stdout=subprocess.PIPE, cwd=folder,
                                     env={"PYTHONPATH": f"{root}:{root / 'src'}"}) for rank in range(processes)]
        return max(json.loads(child.communicate()[0])["extra_gb"] for child in children)


if __name__ == "__main__":
    main()
