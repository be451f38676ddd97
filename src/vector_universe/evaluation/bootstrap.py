"""Intervals: how far a figure might lie from the truth, had other queries been drawn (Efron 1979).

What is drawn again is a *unit*: what was drawn independently, such as an image with all its captions. The candidates
stay as they are: an interval says nothing about other collections.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

DRAWS = 1000
LEVEL = 0.95
FEW = 10  # units that succeed, or that fail: below, drawing them again says too little about those that were not seen


@dataclass(frozen=True, eq=False)
class Sample:
    """What a mean was taken over, kept so that it can be drawn again, alone or beside another model's.

    Attributes:
        units: names of the U units, to pair with those of another model.
        totals_U: sum of the values of each unit.
        counts_U: how many values each has.
        strata_U: a number for each unit: the mean is taken within each stratum, then over the strata (balanced
            accuracy: its classes); None for one plain mean.
    """

    units: tuple[str, ...]
    totals_U: np.ndarray
    counts_U: np.ndarray
    strata_U: np.ndarray | None = None

    @classmethod
    def of(cls, values: Sequence[float] | np.ndarray, units: Sequence[str] | None = None,
           strata: Sequence[int] | np.ndarray | None = None) -> Sample:
        """Q values as a sample.

        Args:
            values: one a query.
            units: the unit that each belongs to; by itself every value is a unit of its own, named by its position.
            strata: the stratum of each value; a unit must lie within one.

        Raises:
            ValueError: there is no value, or the lengths differ.
        """
        values = np.asarray(values, np.float64)
        names = [str(place) for place in range(len(values))] if units is None else list(units)
        if not len(values) or len(names) != len(values) or (strata is not None and len(strata) != len(values)):
            raise ValueError(f"{len(values)} values of {len(names)} units: give at least one, and a unit for each")
        numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
        place_Q = np.array([numbers[name] for name in names])
        strata_U = None
        if strata is not None:
            strata_U = np.zeros(len(numbers), np.int64)
            strata_U[place_Q] = strata
        return cls(tuple(numbers), np.bincount(place_Q, values, len(numbers)),
                   np.bincount(place_Q, minlength=len(numbers)).astype(np.float64), strata_U)

    @property
    def mean(self) -> float:
        """The figure itself."""
        return float(np.mean([totals.sum() / counts.sum() for totals, counts in self._strata()]))

    def draws(self, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
        """The figure for `draws` sets of U units drawn with replacement, within each stratum, (draws,)."""
        generator = np.random.default_rng(seed)
        means = [_drawn_means(np.stack([totals, counts], axis=1), draws, generator)[:, 0]
                 for totals, counts in self._strata()]
        return np.mean(means, axis=0)

    def _strata(self) -> list[tuple[np.ndarray, np.ndarray]]:
        if self.strata_U is None:
            return [(self.totals_U, self.counts_U)]
        return [(self.totals_U[chosen], self.counts_U[chosen])
                for chosen in (self.strata_U == stratum for stratum in np.unique(self.strata_U))]


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`: 95 of 100 such intervals hold the true figure."""

    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """How much higher the other model's figure is, on the same units.

    Attributes:
        value: other − one.
        low, high: its 95 % interval.
        units: how many both have.
    """

    value: float
    low: float
    high: float
    units: int

    @property
    def is_certain(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def interval(sample: Sample, draws: int = DRAWS, seed: int = 0) -> Interval:
    """The 95 % interval of a sample's mean: between percentiles of its bootstrap draws.

    For a share of which fewer than 10 units, or all but fewer than 10, succeeded, percentiles are too narrow (and a
    point where none or all did); there it is Wilson's interval (1927) for as many independent queries as the units'
    scatter is worth.
    """
    if (share := _share_of_few(sample)) is not None:
        return share
    low, high = np.quantile(sample.draws(draws, seed), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def difference(one: Sample, other: Sample, draws: int = DRAWS, seed: int = 0) -> Difference | None:
    """The paired bootstrap of other − one: the same units are drawn for both; None where they share none.

    Pairing takes out what makes some queries harder than others for both, so that it finds smaller differences than two
    intervals side by side do.
    """
    parts = _paired(one, other)
    if not parts:
        return None
    sums_S4 = np.stack([part_U4.sum(axis=0) for part_U4 in parts])
    value = float(np.mean(sums_S4[:, 2] / sums_S4[:, 3] - sums_S4[:, 0] / sums_S4[:, 1]))
    drawn_R2 = paired_draws(one, other, draws, seed)
    low, high = np.quantile(drawn_R2[:, 1] - drawn_R2[:, 0], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Difference(value, float(low), float(high), sum(map(len, parts)))


def paired_draws(one: Sample, other: Sample, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Both figures for the same drawn units, of those that both have, (draws, 2).

    Raises:
        ValueError: they have no unit in common.
    """
    parts = _paired(one, other)
    if not parts:
        raise ValueError("the samples have no unit in common")
    generator = np.random.default_rng(seed)
    found_R2: np.ndarray = np.mean([_drawn_means(part_U4, draws, generator) for part_U4 in parts], axis=0)
    return found_R2


def _paired(one: Sample, other: Sample) -> list[np.ndarray]:
    """Totals and counts of the units that both have, (U, 4), for each stratum; none where they share none."""
    place = {name: number for number, name in enumerate(other.units)}
    rows = [(number, place[name]) for number, name in enumerate(one.units) if name in place]
    if not rows:
        return []
    ones_U, others_U = np.array(rows).T
    columns_U4 = np.stack([one.totals_U[ones_U], one.counts_U[ones_U],
                           other.totals_U[others_U], other.counts_U[others_U]], axis=1)
    strata_U = np.zeros(len(rows)) if one.strata_U is None else one.strata_U[ones_U]
    return [columns_U4[strata_U == stratum] for stratum in np.unique(strata_U)]


def _drawn_means(columns_UC: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Σ totals / Σ counts of drawn units for each pair of columns (totals, counts), (draws, C / 2).

    Equal units are drawn as one kind with its frequency: the same distribution, and for shares a draw costs the same
    for a thousand queries and for a million.
    """
    kinds_KC, frequencies_K = np.unique(columns_UC, axis=0, return_counts=True)
    size = len(columns_UC)
    times_RK = generator.multinomial(size, frequencies_K / size, size=draws)
    sums_RC = times_RK @ kinds_KC
    return sums_RC[:, 0::2] / sums_RC[:, 1::2]


def _share_of_few(sample: Sample) -> Interval | None:
    """Wilson's interval, where the sample is a share with few successes or failures; None elsewhere."""
    totals_U, counts_U = sample.totals_U, sample.counts_U
    whole = bool(np.all(totals_U == np.round(totals_U)))
    if sample.strata_U is not None or not whole or np.any((totals_U < 0) | (totals_U > counts_U)):
        return None
    if min(np.count_nonzero(totals_U), np.count_nonzero(totals_U < counts_U)) >= FEW:
        return None
    size, share = float(counts_U.sum()), sample.mean
    scatter = float(np.square(totals_U - share * counts_U).sum()) / size**2  # variance of the mean, by units
    alone = share * (1 - share) / size
    independent = size * min(1.0, alone / scatter) if scatter > 0 else float(len(counts_U))
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    centre = (share + z**2 / (2 * independent)) / (1 + z**2 / independent)
    reach = z / (1 + z**2 / independent) * np.sqrt(share * (1 - share) / independent + (z / (2 * independent))**2)
    return Interval(max(0.0, float(centre - reach)), min(1.0, float(centre + reach)))
