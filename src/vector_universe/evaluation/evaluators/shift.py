"""Distribution shift as a section: the same questions asked of other pictures, and of corrupted ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from vector_universe.data import Pixels, load_dataset, read_pixels
from vector_universe.errors import UserError
from vector_universe.evaluation.bootstrap import Sample
from vector_universe.evaluation.classification import listed
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from vector_universe.evaluation.few_shot import STRENGTH
from vector_universe.evaluation.judging import Answers, class_forms, judge_of
from vector_universe.evaluation.prompts import Prompts, choose_prompts
from vector_universe.evaluation.robustness import SHOTS
from vector_universe.evaluation.section import Curve, Figure, Plot, Section, Table
from vector_universe.evaluation.shift_figures import robustness_parts, shift_figures
from vector_universe.evaluation.subject import CHUNK, Subject, embed_examples, refuse_nan
from vector_universe.progress import StageProgress, counter

MOST_CORRUPTED = 1000  # test pictures: each is embedded again for every corruption and strength


@dataclass
class Parts:
    """What is gathered of a section."""

    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


def evaluate_shift(subject: Subject, config: EvaluateConfig, progress: StageProgress) -> Section | None:
    """Zero-shot classification, a linear probe and retrieval under shift; None unless a shift is asked for.

    Raises:
        UserError: there is no test split; a further data set cannot be read, shares neither two classes nor two texts,
            or the pictures have neither classes nor texts to ask for.
    """
    if not config.shift and not config.corruptions:
        return None
    if subject.test_split is None:
        raise UserError(f"{subject.dataset.name} has no test split, so there is no figure that could fall: give it a "
                        "column split")
    prompts = choose_prompts(config, subject.dataset.name, subject.dataset.source)
    parts = Parts(settings={"split": subject.test_split, "prompts": prompts.name, "templates": list(prompts.templates),
                            "probe_shots": list(SHOTS), "probe_strength": f"{STRENGTH:g} / spread",
                            "seed": config.seed})
    for source in dict.fromkeys(config.shift):
        _further(subject, source, prompts, config, progress, parts)
    if config.corruptions:
        _corruptions(subject, prompts, config, progress, parts)
    return Section("shift", "Distribution shift",
                   "The same classes and texts asked for in other pictures. Effective robustness is how much higher "
                   "the shifted accuracy is than that of linear probes of equal accuracy (Taori et al. 2020): above 0, "
                   "what the model knows carries over.",
                   tuple(parts.figures), tuple(parts.tables), tuple(parts.plots), warnings=tuple(parts.warnings),
                   remarks=tuple(parts.remarks), settings=parts.settings)


def _further(subject: Subject, source: str, prompts: Prompts, config: EvaluateConfig, progress: StageProgress,
             parts: Parts) -> None:
    """One further data set, all its splits: none of it was trained on."""
    other = load_dataset(source)
    ours, theirs = class_forms(subject.examples), class_forms(list(other))
    test = [subject.examples[place] for place in subject.places(str(subject.test_split))]
    names = sorted(ours.keys() & theirs.keys())
    their_texts = {text for example in other for text in example.texts}
    texts = [text for text in dict.fromkeys(text for one in test for text in one.texts) if text in their_texts]
    names, texts = names if len(names) > 1 else [], texts if len(texts) > 1 else []
    if not names and not texts:
        raise UserError(f"--shift {source}: it shares neither two classes nor two texts with {subject.dataset.name}, "
                        "so nothing can be compared: give pictures of the same classes or with the same titles")
    for side, own, shared in ((subject.dataset.name, ours, names), (source, theirs, names)):
        if shared and (alone := [own[name] for name in sorted(own.keys() - set(shared))]):
            parts.warnings.append(f"Only {len(shared)} shared classes are compared; {side} alone has {listed(alone)}.")
    examples, images_ND, skipped = embed_examples(subject.model, other,
                                                  counter(progress, f"embedding {other.name}", len(other)))
    if skipped:
        parts.remarks.append(f"{len(skipped)} pictures of {source} cannot be decoded and were left out.")
    name = source if any(figure.test == other.name for figure in parts.figures) else other.name
    judge = judge_of(subject, names, texts, prompts, config.seed)
    before = judge.answers(test, subject.images_ND[subject.places(str(subject.test_split))])
    after = judge.answers(examples, images_ND)
    _compare(_samples(before), _samples(after), before.baselines, after.baselines, name, config, parts,
             (before.chances, after.chances))
    parts.settings.setdefault("shift", {})[source] = {
        "fingerprint": other.fingerprint, "images": len(examples), "classes": names, "texts": len(texts)}


def _corruptions(subject: Subject, prompts: Prompts, config: EvaluateConfig, progress: StageProgress,
                 parts: Parts) -> None:
    """The test pictures once more, in every corruption and strength."""
    places = subject.places(str(subject.test_split))
    if len(places) > MOST_CORRUPTED:
        parts.remarks.append(f"Corruptions are measured on {MOST_CORRUPTED:,} of {len(places):,} test pictures, drawn "
                             "at random.")
        places = np.sort(np.random.default_rng(config.seed).permutation(places)[:MOST_CORRUPTED])
    test = [subject.examples[place] for place in places]
    names = sorted(class_forms(subject.examples))
    texts = list(dict.fromkeys(text for one in test for text in one.texts))
    judge = judge_of(subject, names, texts if len(texts) > 1 else [], prompts, config.seed)
    clean = judge.answers(test, subject.images_ND[places])
    if not clean.values:
        raise UserError(f"--corruptions: the test pictures of {subject.dataset.name} have neither one of several "
                        "classes each nor texts, so nothing can be asked of them")
    advance = counter(progress, "embedding corrupted pictures", len(test) * len(CORRUPTIONS) * len(STRENGTHS))
    pixels = read_pixels(test, subject.model.framing)  # decoded once: that takes longer than to corrupt them
    found = {(name, strength): judge.answers(pixels.examples, _corrupted(subject, pixels, name, strength, config.seed,
                                                                         advance))
             for name in CORRUPTIONS for strength in STRENGTHS}
    guess = clean.chances, clean.chances
    for metric in clean.values:
        parts.plots.append(_strength_plot(clean, found, metric, config))
        parts.tables.append(_table(clean, found, metric))
    before = _samples(clean)
    for strength in STRENGTHS:
        after = _pooled([found[name, strength] for name in CORRUPTIONS])
        figures = shift_figures(before, after, f"corrupted at strength {strength}", config, guess)
        parts.figures += [replace(figure, key=False) for figure in figures if not figure.test.startswith("before")]
    every = list(found.values())
    mean_K = tuple(map(float, np.mean([one.baselines for one in every], axis=0))) if clean.baselines else ()
    _compare(before, _pooled(every), clean.baselines, mean_K, "corrupted, mean of all", config, parts, guess)
    parts.settings["corruptions"] = {name: list(values) for name, (_, values) in CORRUPTIONS.items()}


def _corrupted(subject: Subject, pixels: Pixels, name: str, strength: int, seed: int,
               advance: Callable[[int], None]) -> np.ndarray:
    """Unit rows (N, D) of corrupted copies."""
    rows = []
    for start in range(0, len(pixels.examples), CHUNK):
        chosen = range(start, min(start + CHUNK, len(pixels.examples)))
        rows.append(subject.model.embed_pixels(np.stack([
            corrupt(pixels.array[place], pixels.examples[place], name, strength, seed) for place in chosen])))
        advance(len(chosen))
    found_ND = np.concatenate(rows)
    refuse_nan(found_ND, [example.id for example in pixels.examples])
    return found_ND


def _compare(before: dict[str, Sample], after: dict[str, Sample], baselines_in: Sequence[float],
             baselines_after: Sequence[float], name: str, config: EvaluateConfig, parts: Parts,
             guess: tuple[dict[str, float], dict[str, float]]) -> None:
    figures, plots, remarks = robustness_parts(before, after, baselines_in, baselines_after, name, config)
    parts.figures += [*shift_figures(before, after, name, config, guess), *figures]
    parts.plots += plots
    parts.remarks += remarks


def _samples(answers: Answers) -> dict[str, Sample]:
    return {metric: Sample.of(values, answers.units[metric]) for metric, values in answers.values.items()}


def _pooled(several: Sequence[Answers]) -> dict[str, Sample]:
    """Means over several conditions, of which each unit has one value in each."""
    return {metric: Sample.of(np.concatenate([one.values[metric] for one in several]),
                              [unit for one in several for unit in one.units[metric]])
            for metric in several[0].values}


def _strength_plot(clean: Answers, found: dict[tuple[str, int], Answers], metric: str, config: EvaluateConfig) -> Plot:
    start = float(clean.values[metric].mean())
    x = (0.0, *map(float, STRENGTHS))
    curves = [Curve(name, x, (start, *(float(found[name, strength].values[metric].mean()) for strength in STRENGTHS)))
              for name in CORRUPTIONS]
    means = [Figure.mean("", metric, _pooled([found[name, strength] for name in CORRUPTIONS])[metric],
                         draws=config.draws, seed=config.seed) for strength in STRENGTHS]
    curves.append(Curve("mean of all", x, (start, *(mean.value for mean in means)),
                        (start, *(float(mean.low or 0) for mean in means)),
                        (start, *(float(mean.high or 0) for mean in means))))
    return Plot(f"Corruptions: {metric}", "Strength 0 is the picture as it is; the band is the 95 % interval of the "
                "mean.", "strength", metric, tuple(curves))


def _table(clean: Answers, found: dict[tuple[str, int], Answers], metric: str) -> Table:
    start = float(clean.values[metric].mean())
    rows = [(name, [start, *(float(found[name, strength].values[metric].mean()) for strength in STRENGTHS)])
            for name in CORRUPTIONS]
    rows.append(("mean of all", np.mean([values for _, values in rows], axis=0).tolist()))
    return Table(f"Corruptions: {metric}", ("corruption", "none", *map(str, STRENGTHS)),
                 tuple((name, *values) for name, values in rows))
