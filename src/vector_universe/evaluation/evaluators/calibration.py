"""Calibration: how far a score can be read as the probability of a match, and silence as "nothing here matches"."""

from __future__ import annotations

import numpy as np

from vector_universe.evaluation.bootstrap import Sample, interval
from vector_universe.evaluation.calibration import (
    BINS,
    FEWEST,
    FOLDS,
    HITS,
    CrossFit,
    Fit,
    Hits,
    calibration_error,
    cross_fit,
    equal_mass_bins,
    fit,
    hits_on,
)
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.section import Curve, Figure, Plot, Section
from vector_universe.evaluation.subject import Subject
from vector_universe.models.calibration import Calibration
from vector_universe.progress import StageProgress

TELLS = 0.1  # caught − refused: below it the threshold says next to nothing
NEVER = -1.0  # cosine: none is below
NAME, TITLE, TEST = "calibration", "Calibration", "validation"
ABOUT = ("Whether a score can be read as a probability: each hit of a text query gets one from its cosine, and of the "
         "hits said to be 80 % likely 80 % should be right. Every query is judged by a fit on other queries. Each "
         "query is also asked with its own images taken out: then nothing matches, and the model should say so.")


def evaluate_calibration(subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """Judge the map from cosines to probabilities on the validation split; None without one."""
    if not len(subject.places(TEST)):
        return None
    progress("calibration", 0, 1)
    found = hits_on(subject)
    if found is None:
        return Section(NAME, TITLE, ABOUT, remarks=(
            f"Nothing was fitted: the validation split has fewer than {FEWEST} texts to ask with.",))
    hits, units = found
    fitted, crossed = fit(hits), cross_fit(hits, units, seed=config.seed)
    progress("calibration", 1, 1)
    if fitted is None or crossed is None:
        return Section(NAME, TITLE, ABOUT, warnings=(
            "Scores cannot be read as probabilities: a higher cosine does not make a hit likelier to be right.",))
    figures = _figures(hits, units, crossed, config)
    refused, caught = float(crossed.refused_Q.mean()), float(crossed.caught_Q.mean())
    blind = () if caught - refused >= TELLS else (
        f"The model cannot tell whether anything matches: it refuses {refused:.0%} of the queries that have an answer "
        f"and {caught:.0%} of those that have none. A search with it will not say that nothing matches.",)
    return Section(
        NAME, TITLE, ABOUT, figures, plots=(_reliability(hits, units, crossed, config), _map(hits, fitted)),
        warnings=blind,
        remarks=(f"Probabilities are those of a search among {hits.candidates} images by a text that one of them "
                 f"carries; among n images the odds are divided by n/{hits.candidates}.",),
        settings={"hits": HITS, "folds": FOLDS, "bins": BINS, "draws": config.draws, "seed": config.seed,
                  "split": TEST, "candidates": hits.candidates},
        details={"slope": fitted.slope, "intercept": fitted.intercept,
                 "threshold": NEVER if blind else fitted.threshold, "candidates": hits.candidates,
                 "queries": len(units), "share_right": float(hits.right_QK.mean())})


def calibration_of(section: Section, data: str, model: str) -> Calibration | None:
    """The map and the threshold that a section was made of, to be kept with the model; None where nothing was fitted.

    Args:
        section: what `evaluate_calibration` returned.
        data, model: fingerprints of what it was measured on.
    """
    if "slope" not in section.details:
        return None
    found = section.details
    return Calibration(found["slope"], found["intercept"], found["candidates"], found["threshold"], found["queries"],
                       data, model)


def _figures(hits: Hits, units: list[str], crossed: CrossFit, config: EvaluateConfig) -> tuple[Figure, ...]:
    draws, seed = config.draws, config.seed
    chances_QK, right_QK = crossed.probabilities_QK, hits.right_QK
    base_Q1 = crossed.base_rates_Q[:, None]
    by_hit = [unit for unit in units for _ in range(right_QK.shape[1])]
    error, limits = calibration_error(chances_QK, right_QK, units, draws=draws, seed=seed)

    def mean(metric: str, values: np.ndarray, better: str, chance: float | None = None) -> Figure:
        sample = Sample.of(values.ravel(), by_hit if values.ndim == 2 else units)
        return Figure.mean(TEST, metric, sample, chance=chance, better=better,  # type: ignore[arg-type]
                           draws=draws, seed=seed)

    return (
        Figure(TEST, "expected calibration error", error, limits.low, limits.high, count=right_QK.size, better="lower"),
        mean("Brier score", np.square(chances_QK - right_QK), "lower", float(np.mean(np.square(base_Q1 - right_QK)))),
        mean("log loss", log_loss(chances_QK, right_QK), "lower", float(log_loss(base_Q1, right_QK).mean())),
        mean("answerable queries refused", crossed.refused_Q.astype(float), "lower"),
        mean("unanswerable queries caught", crossed.caught_Q.astype(float), "higher"),
    )


def log_loss(chances: np.ndarray, right: np.ndarray) -> np.ndarray:
    """−ln of the probability given to what is true, at most that of 1e-12."""
    given: np.ndarray = -np.log(np.clip(np.where(right, chances, 1 - chances), 1e-12, None))
    return given


def _reliability(hits: Hits, units: list[str], crossed: CrossFit, config: EvaluateConfig) -> Plot:
    chances_N, right_N = crossed.probabilities_QK.ravel(), hits.right_QK.ravel()
    units_N = np.repeat(np.array(units, object), hits.right_QK.shape[1])
    bins_N = equal_mass_bins(chances_N)
    points = []
    for number in range(int(bins_N.max()) + 1):
        inside_N = bins_N == number
        sample = Sample.of(right_N[inside_N], list(units_N[inside_N]))
        limits = interval(sample, config.draws, config.seed)
        points.append((float(chances_N[inside_N].mean()), sample.mean, limits.low, limits.high))
    x, y, low, high = zip(*points, strict=True)
    return Plot("Reliability", f"{len(points)} groups of equally many hits, by the probability that was said; on the "
                "diagonal it is the truth. Bands are 95 % intervals.", "probability that was said",
                "share of right hits", (Curve("hits", x, y, low, high, "points"),), diagonal=True)


def _map(hits: Hits, fitted: Fit) -> Plot:
    cosines = np.linspace(float(hits.cosines_QK.min()), float(hits.cosines_QK.max()), 50)
    edge = fitted.threshold
    return Plot("What a cosine means", "Probability that a hit is right; a best hit left of the dashed line is said to "
                "be no match.", "cosine", "probability of a match",
                (Curve("probability", tuple(cosines.tolist()), tuple(fitted.probability(cosines).tolist())),
                 Curve("nothing here matches", (edge, edge), (0.0, 1.0), style="dashed")))
