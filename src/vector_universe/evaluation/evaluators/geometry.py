"""Geometry: how images and texts lie on the sphere, and whether centring or whitening them would help."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vector_universe.evaluation.bootstrap import Sample
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.geometry import Geometry, geometry
from vector_universe.evaluation.hubness import Hubness, hubness
from vector_universe.evaluation.queries import text_queries
from vector_universe.evaluation.section import Curve, Figure, Plot, Section, shorten
from vector_universe.evaluation.spectrum import Spectrum, spectrum_of
from vector_universe.evaluation.subject import Subject
from vector_universe.evaluation.whitening import judge_post_processing
from vector_universe.progress import StageProgress

NEIGHBOURS = 10
MOST_ASKED = 5000  # texts, and images: hubs show among so many
STRANGERS = 1000  # images, and texts, whose cosines are drawn
MOST_BINS = 50
FEW = 2.0  # effective rank: as the monitor of training has it
NEAR = 0.01  # pair − off-pair cosine, likewise
ABOUT = ("How images and texts lie on the sphere. True pairs should be nearer than strangers; vectors that spread over "
         "many directions (a high effective rank, a flat spectrum) tell more apart. A pair is an image with its first "
         "text.")


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The images of a test with their first texts, and what was measured of them."""

    test: str
    ids: list[str]
    images_ND: np.ndarray
    texts_ND: np.ndarray
    geometry: Geometry
    images: Spectrum
    texts: Spectrum


def evaluate_geometry(subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """Measure the pairs of the test split and of all; judge post-processing. None without a second picture."""
    everywhere = np.arange(len(subject.examples))
    tests = {name: places for name, places in ((subject.test_split, subject.places(subject.test_split or "")),
                                               ("all", everywhere)) if name and len(places) > 1}
    if not tests:
        return None
    progress("geometry", 0, 3)
    measured = [_measure(subject, name, places) for name, places in tests.items()]
    first = measured[0]
    progress("geometry", 1, 3)
    hubs = _hubs(subject, tests[first.test])
    progress("geometry", 2, 3)
    judgement = judge_post_processing(subject, config.draws, config.seed)
    progress("geometry", 3, 3)
    figures = [figure for pairs in measured for figure in _figures(pairs, config)] + _hub_figures(first.test, hubs)
    table = judgement.table()
    remarks = list(judgement.remarks)
    if hubs is not None:
        place = int(tests[first.test][hubs[1][hubs[0].hub]])
        remarks.append(f"The most frequent hub is {subject.examples[place].id} "
                       f"({shorten(subject.examples[place].prompts[0], 60)}): of {hubs[0].queries} texts it is among "
                       f"the {NEIGHBOURS} nearest images of {int(hubs[0].counts_N.max())}; an even share would be "
                       f"{hubs[0].counts_N.mean():.1f}.")
    return Section(
        "geometry", "Geometry", ABOUT, tuple(figures), () if table is None else (table,),
        plots=(_spectra(first), _cosines(first)), warnings=collapse_warnings(first.test, first.geometry),
        remarks=tuple(remarks),
        settings={"neighbours": NEIGHBOURS, "hubness_at_most": MOST_ASKED, "post_processing_fitted_on": {
            "images": judgement.fit_images, "texts": judgement.fit_texts}, "draws": config.draws, "seed": config.seed},
        details={pairs.test: {"pairs": len(pairs.ids), **pairs.geometry.as_dict()} for pairs in measured}
        | {"post_processing": None if judgement.kept is None else judgement.kept.kind})


def collapse_warnings(test: str, now: Geometry) -> tuple[str, ...]:
    """In plain words, what of the geometry says that the model has collapsed; most often nothing."""
    cosines = f"true pairs' cosine {now.pair_cosine:.2f} against strangers' {now.off_pair_cosine:.2f}"
    found = []
    if now.effective_rank < FEW:
        kind = "images" if now.image_effective_rank < now.text_effective_rank else "texts"
        found.append(f"On {test} the {kind} lie in a narrow cone: effective rank {now.effective_rank:.1f}, {cosines}. "
                     "Train longer, with another learning rate or a larger batch, and check that the texts differ.")
    if now.pair_cosine - now.off_pair_cosine < NEAR:
        found.append(f"On {test} true pairs are no nearer than strangers: {cosines}. Check that every text belongs to "
                     "its image, then train again with another learning rate.")
    return tuple(found)


def _measure(subject: Subject, test: str, places: np.ndarray) -> _Pairs:
    examples = [subject.examples[place] for place in places]
    images_ND = subject.images_ND[places]
    texts_ND = subject.embed_texts([example.prompts[0] for example in examples])
    return _Pairs(test, [example.id for example in examples], images_ND, texts_ND,
                  geometry(torch.from_numpy(images_ND), torch.from_numpy(texts_ND)), spectrum_of(images_ND),
                  spectrum_of(texts_ND))


def _hubs(subject: Subject, places: np.ndarray) -> tuple[Hubness, np.ndarray] | None:
    """Hubs among the images (some, of many), asked by the distinct texts of these; and which of `places` they are."""
    some = np.arange(min(len(places), MOST_ASKED)) * len(places) // min(len(places), MOST_ASKED)
    asked = text_queries(subject, places[some]).texts[:MOST_ASKED]
    found = hubness(subject.embed_texts(asked), subject.images_ND[places[some]], NEIGHBOURS)
    return None if found is None else (found, some)


def _figures(pairs: _Pairs, config: EvaluateConfig) -> list[Figure]:
    now, test, count = pairs.geometry, pairs.test, len(pairs.ids)
    cosines_N = np.einsum("nd,nd->n", pairs.images_ND.astype(np.float64), pairs.texts_ND)
    found = [Figure.mean(test, "pair cosine", Sample.of(cosines_N, pairs.ids), better="", draws=config.draws,
                         seed=config.seed),
             Figure(test, "off-pair cosine", now.off_pair_cosine, count=count, better=""),
             Figure(test, "modality gap", now.modality_gap, count=count, better=""),
             Figure.mean(test, "alignment", Sample.of(2 - 2 * cosines_N, pairs.ids), better="lower",
                         draws=config.draws, seed=config.seed)]
    for side, uniformity, spectrum in (("image", now.image_uniformity, pairs.images),
                                       ("text", now.text_uniformity, pairs.texts)):
        found += [Figure(test, f"{side} uniformity", uniformity, count=count, better="lower"),
                  Figure(test, f"{side} effective rank", spectrum.effective_rank, count=count),
                  Figure(test, f"{side} effective rank, centred", spectrum.centred_effective_rank, count=count),
                  Figure(test, f"{side} mean pairwise cosine", spectrum.mean_cosine, count=count, better=""),
                  Figure(test, f"{side} norm of the mean", spectrum.mean_norm, count=count, better="")]
    return found


def _hub_figures(test: str, hubs: tuple[Hubness, np.ndarray] | None) -> list[Figure]:
    if hubs is None:
        return []
    found, _ = hubs
    return [Figure(test, "hubness (skewness of N₁₀)", found.skewness, chance=found.chance_skewness,
                   count=found.queries, better="lower"),
            Figure(test, "images never among the 10 nearest", found.never, chance=found.chance_never,
                   count=len(found.counts_N), better="lower")]


def _spectra(pairs: _Pairs) -> Plot:
    curves = []
    for side, spectrum in (("images", pairs.images), ("texts", pairs.texts)):
        shares = spectrum.shares[spectrum.shares > 1e-8]  # below is rounding
        curves.append(Curve(side, tuple(range(1, len(shares) + 1)), tuple(shares.tolist())))
    return Plot("Spectrum", "Share of the second moment in each direction, largest first: flat is good, a steep fall "
                "means that vectors crowd into few directions.", "rank of the eigenvalue", "share", tuple(curves),
                y_log=True)


def _cosines(pairs: _Pairs) -> Plot:
    """Densities of the cosines of true pairs and of strangers, as curves over the same bins."""
    count = len(pairs.ids)
    some = np.arange(min(count, STRANGERS)) * count // min(count, STRANGERS)
    strangers = (pairs.images_ND[some] @ pairs.texts_ND[some].T)[~np.eye(len(some), dtype=bool)]
    own = np.einsum("nd,nd->n", pairs.images_ND, pairs.texts_ND)
    bins = min(MOST_BINS, max(8, round(3 * count ** (1 / 3))))  # fewer pairs are drawn more coarsely
    edges = np.linspace(min(own.min(), strangers.min()) - 1e-6, max(own.max(), strangers.max()) + 1e-6, bins + 1)
    middles = tuple(((edges[1:] + edges[:-1]) / 2).tolist())
    curves = tuple(Curve(name, middles, tuple(np.histogram(values, edges, density=True)[0].tolist()))
                   for name, values in (("true pairs", own), ("strangers", strangers)))
    return Plot("Cosines", "How near images are to their own text and to others': the less the curves overlap, the "
                "better.", "cosine", "density", curves)
