"""Which objectives collapse, how soon the monitor says so, and what each does to real CLIP vectors.

First, 56 pairs of free embeddings under the objective that collapsed in practice (mean anisotropy between images and
texts only, positive weight 0.3117) and, from the same start, under InfoNCE, log-sum-exp and the spectral form.

Then a linear map of CLIP's vectors of 1,203 names (skipped where the file is absent), trained to recognise a name
under noise: mean cosine, effective rank, and the share of the 10 nearest neighbours that it keeps.

`--quick` trains for fewer steps: 200 instead of 400, which changes little, and on CLIP's vectors 100 instead of 300,
which is too early for their last figures (those rows are named `_quick`).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.report import report
from vector_universe.evaluation.geometry import Geometry, geometry, gradient_shares
from vector_universe.losses import AlignmentAnisotropy, InfoNCE, LossOutput
from vector_universe.training.monitor import CollapseMonitor, Verdict

PAIRS, WIDTH = 56, 512
POSITIVE_WEIGHT = 0.3117
# The start that the training log shows: loss 0.184 = 0.359 - 2 · 0.0875.
OFF_PAIR_COSINE = 0.359 / 2 * PAIRS / (PAIRS - 1)
PAIR_COSINE = 0.0875 / POSITIVE_WEIGHT
LEARNING_RATE = 0.01  # of Adam
CHECK_EVERY = 10  # steps, as the training loop does
TEMPERATURE = 0.05
INFO_NCE_TEMPERATURE = 0.07  # CLIP's start

MAP_NOISE = 0.5  # length of the noise beside vectors of length 1
MAP_LEARNING_RATE = 1e-3
MAP_BATCH = 256
NEIGHBOURS = 10
CLIP_VECTORS = Path(__file__).parents[2] / "shared" / "data" / "clip-facts" / "lvis_v1_clip_a+cname.npy"
PLOT = Path(__file__).parent / "out" / "collapse.png"

Objective = Callable[[Tensor, Tensor, Tensor, Tensor], LossOutput]


def objectives() -> dict[str, Objective]:
    """What is compared, each over images and texts of two views."""
    return {
        "as_written": AlignmentAnisotropy("mean", POSITIVE_WEIGHT, temperature=1.0, cross_modal_only=True),
        "info_nce": _info_nce_of_both_views,
        "log_sum_exp": AlignmentAnisotropy("log_sum_exp", POSITIVE_WEIGHT, TEMPERATURE),
        "spectral": AlignmentAnisotropy("spectral", POSITIVE_WEIGHT, TEMPERATURE),
    }


@dataclass(frozen=True)
class Outcome:
    """Where free embeddings ended, the geometry of their first view, what the monitor said, and all pair cosines."""

    loss: float
    parts: dict[str, float]
    geometry: Geometry
    verdicts: list[Verdict]
    pair_cosines: list[float]

    @property
    def first_warning_step(self) -> int:
        """-1 when there was none."""
        return self.verdicts[0].step if self.verdicts else -1


def start() -> list[Tensor]:
    """Images, texts, and both again: unit rows (56, 512) whose cosines are exactly those of the log's first line.

    Each row mixes three directions that are orthogonal to all others: one for all rows, one for its pair, its own.
    """
    generator = torch.Generator().manual_seed(0)
    square_DD = torch.randn(WIDTH, WIDTH, generator=generator, dtype=torch.float64)
    directions_DD = torch.linalg.qr(square_DD)[0].T
    common_D, pairs_BD = directions_DD[0], directions_DD[1:1 + PAIRS]
    own_4BD = directions_DD[1 + PAIRS:1 + 5 * PAIRS].view(4, PAIRS, WIDTH)
    together = math.sqrt(OFF_PAIR_COSINE) * common_D + math.sqrt(PAIR_COSINE - OFF_PAIR_COSINE) * pairs_BD
    return [(together + math.sqrt(1 - PAIR_COSINE) * own_BD).float() for own_BD in own_4BD]


def free_embeddings(objective: Objective, steps: int) -> Outcome:
    """Train embeddings that belong to no model, watched by the monitor."""
    embeddings = [torch.nn.Parameter(rows) for rows in start()]
    optimizer = torch.optim.Adam(embeddings, lr=LEARNING_RATE)
    monitor, verdicts, pair_cosines = CollapseMonitor(), [], []
    for step in range(steps + 1):
        images_BD, texts_BD, *others = rows = [F.normalize(rows_BD, dim=1) for rows_BD in embeddings]
        loss = objective(images_BD, texts_BD, *others)
        if step % CHECK_EVERY == 0:
            figures = geometry(images_BD, texts_BD)
            verdicts += monitor.check(step, figures, gradient_shares(loss.parts, rows))
            pair_cosines.append(figures.pair_cosine)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    return Outcome(loss.total.item(), {name: part.item() for name, part in loss.parts.items()}, figures, verdicts,
                   pair_cosines)


@dataclass(frozen=True)
class Mapped:
    """Real vectors after a map: mean cosine, effective rank, share of neighbours kept, shares of the eigenvalues."""

    mean_cosine: float
    effective_rank: float
    neighbours_kept: float
    spectrum_D: np.ndarray


def train_map(vectors_ND: Tensor, objective: Objective, steps: int) -> Tensor:
    """The vectors (N, D) after a linear map, trained from the identity on pairs of noisy views of one vector."""
    generator = torch.Generator().manual_seed(0)
    size, width = vectors_ND.shape
    map_DD = torch.nn.Parameter(torch.eye(width))
    optimizer = torch.optim.Adam([map_DD], lr=MAP_LEARNING_RATE)
    for _ in range(steps):
        batch_BD = vectors_ND[torch.randperm(size, generator=generator)[:MAP_BATCH]]
        one_BD, other_BD = (F.normalize((batch_BD + MAP_NOISE / math.sqrt(width) * torch.randn(
            batch_BD.shape, generator=generator)) @ map_DD, dim=1) for _ in range(2))
        loss = objective(one_BD, other_BD, other_BD, one_BD)
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    return F.normalize(vectors_ND @ map_DD.detach(), dim=1)


def measure_map(before_ND: Tensor, after_ND: Tensor) -> Mapped:
    """Compare unit rows with what they were."""
    figures = geometry(after_ND, after_ND)
    eigenvalues_D = torch.linalg.eigvalsh(after_ND.T @ after_ND / len(after_ND)).flip(0)
    kept = [len(set(one) & set(other)) / NEIGHBOURS
            for one, other in zip(_neighbours(before_ND), _neighbours(after_ND), strict=True)]
    return Mapped(figures.off_pair_cosine, figures.image_effective_rank, sum(kept) / len(kept), eigenvalues_D.numpy())


def plot(outcomes: dict[str, Outcome], maps: dict[str, Mapped], path: Path) -> None:
    """Draw how free embeddings went, and the spectra of the maps beside the neighbours that they kept."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    for name, outcome in outcomes.items():
        steps = range(0, len(outcome.pair_cosines) * CHECK_EVERY, CHECK_EVERY)
        line, = left.plot(steps, outcome.pair_cosines, label=name)
        if outcome.verdicts:
            left.axvline(outcome.first_warning_step, color=line.get_color(), linestyle=":",
                         label=f"first warning, step {outcome.first_warning_step}")
    left.set(title=f"{PAIRS} pairs of free embeddings", xlabel="step", ylabel="cosine of true pairs")
    left.legend()
    for name, mapped in maps.items():
        middle.semilogy(range(1, len(mapped.spectrum_D) + 1), mapped.spectrum_D)
        right.scatter(mapped.effective_rank, mapped.neighbours_kept, s=80, label=name)
    middle.set(title="CLIP vectors: spectrum", xlabel="eigenvalue", ylabel="share of the second moment", ylim=(1e-6, 1))
    right.set(title="CLIP vectors: flatness and neighbours", xlabel="effective rank",
              ylabel=f"share of the {NEIGHBOURS} nearest neighbours kept", ylim=(0, 1.05))
    if maps:
        right.legend(title="both panels", loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--data", type=Path, default=CLIP_VECTORS, help="CLIP's vectors, one row a name (.npy)")
    parser.add_argument("--plot", type=Path, default=PLOT, help="where the picture goes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # tensors of 56 rows only wait for threads

    outcomes = {}
    for name, objective in objectives().items():
        outcome = outcomes[name] = free_embeddings(objective, steps=200 if arguments.quick else 400)
        report(name, "loss", outcome.loss)
        if name == "as_written":
            report(name, "anisotropy", outcome.parts["anisotropy"])
        for metric in ("pair_cosine", "recall_at_1", "effective_rank"):
            report(name, metric, getattr(outcome.geometry, metric))
        report(name, "first_warning_step", outcome.first_warning_step)
        for verdict in outcome.verdicts:
            print(verdict, file=sys.stderr)

    maps = {}
    if arguments.data.is_file():
        vectors_ND = F.normalize(torch.from_numpy(np.load(arguments.data)).float(), dim=1)
        maps["before"] = measure_map(vectors_ND, vectors_ND)
        maps["centred"] = measure_map(vectors_ND, F.normalize(vectors_ND - vectors_ND.mean(dim=0), dim=1))
        for name, objective in map_objectives().items():
            steps, suffix = (100, "_quick") if arguments.quick else (300, "")
            maps[name + suffix] = measure_map(vectors_ND, train_map(vectors_ND, objective, steps))
        for name, mapped in maps.items():
            for metric in ("mean_cosine", "effective_rank", "neighbours_kept"):
                report(f"clip_vectors_{name}", metric, getattr(mapped, metric))
    else:
        print(f"no CLIP vectors at {arguments.data}: second part skipped", file=sys.stderr)
    plot(outcomes, maps, arguments.plot)
    print(f"plot: {arguments.plot}", file=sys.stderr)


def map_objectives() -> dict[str, Objective]:
    """The forms that a map is trained under, over two views and with equal weights."""
    return {
        "mean": AlignmentAnisotropy("mean", temperature=1.0),
        "log_sum_exp": AlignmentAnisotropy("log_sum_exp", temperature=TEMPERATURE),
        "spectral": AlignmentAnisotropy("spectral", temperature=TEMPERATURE),
        "info_nce": _info_nce_of_both_views,
    }


def _info_nce_of_both_views(images_BD: Tensor, texts_BD: Tensor, other_images_BD: Tensor, other_texts_BD: Tensor
                            ) -> LossOutput:
    logit_scale = torch.tensor(math.log(1 / INFO_NCE_TEMPERATURE))
    one, other = (InfoNCE()(images, texts, logit_scale) for images, texts in
                  ((images_BD, texts_BD), (other_images_BD, other_texts_BD)))
    return LossOutput.of(**{name: one.parts[name] + other.parts[name] for name in one.parts})


def _neighbours(rows_ND: Tensor) -> list[list[int]]:
    cosines_NN = (rows_ND @ rows_ND.T).fill_diagonal_(-2)
    return cosines_NN.topk(NEIGHBOURS).indices.tolist()


if __name__ == "__main__":
    main()
