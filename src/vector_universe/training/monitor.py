"""The collapse monitor: says in words when embeddings lose what tells them apart, and when they have it back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vector_universe.evaluation.geometry import Geometry

# A model that starts from scratch is no collapse: its embeddings fill a narrow cone (cosines of .9, effective rank
# 1 to 3, recall at chance; Liang et al. 2022). So what is told fast is a *fall* from a better state; a bad state that
# has never been better is told only after PATIENCE checks. The figures below are of runs of this package on emoji,
# shapes, photos with captions and photos with labels, and of the collapse in `benchmarks/collapse.py`.
FAST = 2  # checks: one bad batch is chance, two in a row are not; 10 steps apart, a collapse is told within 50
STEADY = 3  # checks: ranks vary more from batch to batch than mean cosines do
SLOW = 5  # checks: in its first 30 steps a healthy run may draw together before it spreads
PATIENCE = 30  # checks, 300 steps when checked every 10: healthy runs left chance within 10 to 50 steps
LEAVE_AFTER = 3  # checks in a row on the good side before it says "recovered"

POLES_ENTER, POLES_LEAVE = -0.5, -0.2  # pair cosine: healthy runs kept above -.05
POLES_FALL = 0.3  # and it fell so far from its best: in 4 dimensions two random cones start anywhere
RANK_ENTER, RANK_LEAVE = 1 / 4, 1 / 3  # share of the best effective rank while learning: healthy runs kept 3/4
RANK_WORTH = 4.0  # a best rank below it is itself a start
POINT_ENTER, POINT_LEAVE = 1.1, 1.5  # effective rank: mean cosines of .99; starts in a cone have dipped to 1.16
POINT_SHRUNK = 1 / 2  # and it was twice that: a deep network that starts in so narrow a cone is let be
FEW_ENTER, FEW_LEAVE = 2.0, 2.5  # effective rank of a cone that never opens
FEW_APART = 0.2  # pair - off-pair cosine above it: two labels need one direction only, and that is right
NEAR_ENTER, NEAR_LEAVE = 0.01, 0.02  # pair - off-pair cosine: at a temperature of .07 a seventh of a logit
CHANCE_ERRORS = 3.0  # recall within so many standard errors of chance is at chance
WEAK_ENTER, WEAK_LEAVE = 0.01, 0.02  # share of the gradient: a hundredth of the pull decides nothing
WEAK_AFTER = 10  # checks: parts trade places while a run warms up
SHARES_UP_TO = 2048  # pairs: a backward pass of each part costs B², 1 % of ten CPU steps here, and a step costs B


@dataclass(frozen=True)
class Verdict:
    """What the monitor has to say: a warning, or that it is over.

    Attributes:
        step: of the check.
        name: of the trouble, such as "opposite_poles".
        recovered: False for a warning, True when it is over.
        text: what is wrong, by which figures, and a way out.
    """

    step: int
    name: str
    recovered: bool
    text: str

    def __str__(self) -> str:
        return f"{'recovered' if self.recovered else 'warning'}: step {self.step}: {self.text}"


@dataclass
class _Best:
    """The best that was seen so far, which a fall is measured from; `learned_rank` while pairs were told apart."""

    pair_cosine: float = -1.0
    rank: float = 0.0
    learned_rank: float = 0.0

    def update(self, now: Geometry) -> None:
        self.pair_cosine = max(self.pair_cosine, now.pair_cosine)
        self.rank = max(self.rank, now.effective_rank)
        if _apart(now) > NEAR_LEAVE and _errors_above_chance(now) > CHANCE_ERRORS:
            self.learned_rank = max(self.learned_rank, now.effective_rank)


@dataclass(frozen=True)
class _Finding:
    """One check by one rule; between `bad` and `good` nothing changes."""

    bad: bool
    good: bool
    text: str


@dataclass(frozen=True)
class _Rule:
    judge: Callable[[Geometry, _Best, Mapping[str, float]], _Finding]
    enter_after: int
    caused_by: tuple[str, ...] = ()  # while one of these stands, this would only say the same again


class CollapseMonitor:
    """Watches the figures of batches and gives a verdict once when trouble begins and once when it is over.

    Trouble begins after several checks in a row beyond one threshold and is over after several in a row on the good
    side of another, so that a figure that flutters about a threshold makes no noise. Nothing here is random.
    """

    def __init__(self) -> None:
        self._best = _Best()
        self._standing = dict.fromkeys(_RULES, False)
        self._streaks = dict.fromkeys(_RULES, 0)

    @property
    def open(self) -> list[str]:
        """Names of the troubles that stand."""
        return [name for name, standing in self._standing.items() if standing]

    def check(self, step: int, geometry: Geometry, gradient_shares: Mapping[str, float] | None = None
              ) -> list[Verdict]:
        """Judge one batch; most often there is nothing to say.

        Args:
            step: of training, for the record.
            geometry: of the batch.
            gradient_shares: of each part of the loss, where they are known.
        """
        self._best.update(geometry)
        verdicts = []
        for name, rule in _RULES.items():
            finding = rule.judge(geometry, self._best, gradient_shares or {})
            standing = self._standing[name]
            explained = not standing and any(self._standing[cause] for cause in rule.caused_by)
            counts = (finding.good if standing else finding.bad) and not explained
            self._streaks[name] = self._streaks[name] + 1 if counts else 0
            if self._streaks[name] == (LEAVE_AFTER if standing else rule.enter_after):
                self._standing[name], self._streaks[name] = not standing, 0
                verdicts.append(Verdict(step, name, standing, finding.text))
        return verdicts

    def state_dict(self) -> dict[str, float]:
        """All that it remembers, as plain numbers."""
        return ({f"best.{name}": value for name, value in vars(self._best).items()}
                | {f"standing.{name}": int(value) for name, value in self._standing.items()}
                | {f"streak.{name}": value for name, value in self._streaks.items()})

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Go on from what `state_dict` gave."""
        self._best = _Best(**{name: state[f"best.{name}"] for name in vars(self._best)})
        self._standing = {name: bool(state[f"standing.{name}"]) for name in _RULES}
        self._streaks = {name: int(state[f"streak.{name}"]) for name in _RULES}

    @classmethod
    def of_run(cls, metrics: Path) -> CollapseMonitor:
        """The monitor of a run that goes on: it looks again at all figures that stand in `metrics.jsonl`."""
        monitor = cls()
        lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
        for record in map(json.loads, lines):
            if "geometry" in record:
                monitor.check(record["step"], Geometry(**record["geometry"]), record["gradient_shares"])
        return monitor


def _apart(now: Geometry) -> float:
    """How much nearer true pairs are than strangers."""
    return now.pair_cosine - now.off_pair_cosine


def _errors_above_chance(now: Geometry) -> float:
    """Recall above chance, in standard errors of a share of 1/chance queries."""
    return (now.recall_at_1 - now.chance_at_1) / now.chance_at_1


def _opposite_poles(now: Geometry, best: _Best, _: Mapping[str, float]) -> _Finding:
    figures = f"true pairs' cosine {now.pair_cosine:.2f}, effective rank {now.effective_rank:.1f}"
    bad = now.pair_cosine < POLES_ENTER and best.pair_cosine - now.pair_cosine > POLES_FALL
    good = now.pair_cosine > POLES_LEAVE
    return _Finding(bad, good, f"images and texts have left their opposite poles: {figures}" if good else
                    f"images and texts sit at opposite poles: {figures}; raise the positive weight or use InfoNCE")


def _dimension_collapse(now: Geometry, best: _Best, _: Mapping[str, float]) -> _Finding:
    rank, best_rank = now.effective_rank, best.learned_rank
    bad = best_rank >= RANK_WORTH and rank < RANK_ENTER * best_rank
    good = rank > RANK_LEAVE * best_rank
    return _Finding(bad, good, f"the embeddings have their dimensions back: effective rank {rank:.1f}" if good else
                    f"the embeddings lose their dimensions: effective rank {rank:.1f}, it was {best_rank:.1f}, "
                    f"{_cosines(now)}; lower the learning rate, or use InfoNCE or the spectral anisotropy")


def _one_point(now: Geometry, best: _Best, _: Mapping[str, float]) -> _Finding:
    figures = f"effective rank {now.effective_rank:.2f}, {_cosines(now)}"
    bad = (now.effective_rank < POINT_ENTER and now.effective_rank < POINT_SHRUNK * best.rank
           and _apart(now) < NEAR_ENTER)
    good = now.effective_rank > POINT_LEAVE
    kind = "images" if now.image_effective_rank < now.text_effective_rank else "texts"
    return _Finding(bad, good, f"the {kind} spread again: {figures}" if good else
                    f"the {kind} fall into one point: {figures}; lower the learning rate or warm up longer; with an "
                    "anisotropy term, lower the positive weight")


def _few_directions(now: Geometry, _best: _Best, _: Mapping[str, float]) -> _Finding:
    figures = f"effective rank {now.effective_rank:.1f}, {_cosines(now)}"
    bad = now.effective_rank < FEW_ENTER and _apart(now) < FEW_APART
    good = now.effective_rank > FEW_LEAVE or _apart(now) > FEW_APART
    return _Finding(bad, good, f"the embeddings have left their narrow cone: {figures}" if good else
                    f"the embeddings stay in a narrow cone: {figures}; try another learning rate or a larger batch, "
                    "and check that the texts differ")


def _not_learning(now: Geometry, _best: _Best, _: Mapping[str, float]) -> _Finding:
    figures = (f"cosine {now.pair_cosine:.2f} against {now.off_pair_cosine:.2f}, recall@1 {now.recall_at_1:.3f} where "
               f"chance is {now.chance_at_1:.3f}")
    bad = _apart(now) < NEAR_ENTER and _errors_above_chance(now) < CHANCE_ERRORS
    good = _apart(now) > NEAR_LEAVE
    return _Finding(bad, good, f"true pairs are nearer than strangers now: {figures}" if good else
                    f"true pairs are no nearer than strangers: {figures}; check that every text belongs to its image, "
                    "then try another learning rate")


def _cosines(now: Geometry) -> str:
    return f"true pairs' cosine {now.pair_cosine:.2f} against strangers' {now.off_pair_cosine:.2f}"


def _weak_part(_now: Geometry, _best: _Best, shares: Mapping[str, float]) -> _Finding:
    if len(shares) < 2 or not any(shares.values()):
        return _Finding(False, False, "")
    part, share = min(shares.items(), key=lambda item: item[1])
    good = share > WEAK_LEAVE
    return _Finding(share < WEAK_ENTER, good, f"every part of the loss pulls again: {part} has {share:.1%}" if good else
                    f"the part {part} of the loss has {share:.1%} of the gradient: it decides nothing; raise its "
                    "weight or leave it out")


_RULES = {
    "opposite_poles": _Rule(_opposite_poles, FAST),
    "dimension_collapse": _Rule(_dimension_collapse, STEADY, ("opposite_poles",)),
    "one_point": _Rule(_one_point, SLOW, ("opposite_poles", "dimension_collapse")),
    "few_directions": _Rule(_few_directions, PATIENCE, ("opposite_poles", "dimension_collapse", "one_point")),
    "not_learning": _Rule(_not_learning, PATIENCE,
                          ("opposite_poles", "dimension_collapse", "one_point", "few_directions")),
    "weak_part": _Rule(_weak_part, WEAK_AFTER),
}
