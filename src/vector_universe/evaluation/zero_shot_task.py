"""A zero-shot task in small, asked again and again while a model learns: its pictures are decoded once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vector_universe.data import Example, ImageTextDataset
from vector_universe.data.framing import Framing
from vector_universe.data.images import ImageError
from vector_universe.data.read_ahead import read_ahead
from vector_universe.errors import UserError
from vector_universe.evaluation.classification import Classification, classify
from vector_universe.evaluation.config import EvaluateConfig
from vector_universe.evaluation.label_ranking import label_ranking, rank_rows
from vector_universe.evaluation.prompts import PLAIN, Prompts, choose_prompts, readable
from vector_universe.evaluation.subject import refuse_nan
from vector_universe.evaluation.zero_shot import class_texts, class_vectors, mean_over_prompts
from vector_universe.losses.label_sets import LabelSets
from vector_universe.models import DualEncoder
from vector_universe.models.predictors import Predictor

MOST_IMAGES, MOST_NAMES, LESS_NAMES = 1000, 200, 64  # some scores take a decoder's pass for every image with every text
CROWD = 2  # among fewer than so many times k, to be one of the first k says little
READ = 0.5  # of the labels: so many at least must occur in what is learned from
AS_WRITTEN = Prompts("as written", ("{}",), literal=True)


@dataclass(frozen=True, eq=False)
class ZeroShotFigures:
    """What a model reached.

    Attributes:
        figures: shares of 0 to 1 by name: name_top_1, name_top_10, label_top_1, label_macro_map.
        chances: what a random order reaches on average, by the same names.
        right: whether each image was right, bool, for figures that are shares of images.
    """

    figures: dict[str, float]
    chances: dict[str, float]
    right: dict[str, np.ndarray]

    def as_dict(self) -> dict[str, dict]:
        """For JSON; of each image a digit, 1 where it was right."""
        return {"zero_shot": self.figures, "chance": self.chances,
                "right": {name: "".join(map(str, right_N.astype(int))) for name, right_N in self.right.items()}}


@dataclass(frozen=True, eq=False)
class ZeroShotTask:
    """Images of one split, and what is asked of them.

    Names: which of all first texts is the image's own? Labels: which of all labels of the data set is the likeliest?
    An image with several labels is right with any of them. A tie counts against the model.

    Attributes:
        dataset: what the images are of.
        examples: those whose image could be decoded; 1,000 at most, drawn at random, the same each time.
        pixels_NSSC: uint8, as the model wants them.
        names: the different first texts of the first 200 examples that have one, or of 64 where labels are the main
            figure; none where there are not two.
        named_M, own_M: places of those examples, and the number of each one's text.
        label_names: all labels of the data set; none where there are not two.
        labels: of the examples.
        prompts: how labels are asked of a model that embeds texts: as they are where training reads them as texts, else
            by the prompts that `vu evaluate` takes. A model that predicts words is asked for the bare label, as there.
    """

    dataset: ImageTextDataset
    examples: list[Example]
    pixels_NSSC: np.ndarray
    names: tuple[str, ...]
    named_M: np.ndarray
    own_M: np.ndarray
    label_names: tuple[str, ...]
    labels: LabelSets
    prompts: Prompts

    @classmethod
    def of(cls, dataset: ImageTextDataset, split: str, framing: Framing) -> ZeroShotTask:
        """Decode the images of a split.

        Raises:
            UserError: the split has no readable image, or neither two different texts nor two labels.
        """
        places = [place for place, own in enumerate(dataset.table["split"]) if own == split]
        drawn = np.random.default_rng(0).permutation(len(places))[:MOST_IMAGES]
        examples: list[Example] = []
        pixels = []
        for example, found in read_ahead(lambda one: framing.pixels(one.image),
                                         dataset.select([places[number] for number in drawn])):
            if not isinstance(found, ImageError):
                examples.append(example)
                pixels.append(found)
        if not examples:
            raise UserError(f"{dataset.name} has no {split} image that can be read: zero-shot classification is "
                            f"measured on the {split} split")
        most = MOST_NAMES if main_figure(dataset, split).startswith("name") else LESS_NAMES
        named = [place for place, example in enumerate(examples) if example.texts][:most]
        number = {text: number for number, text in enumerate(dict.fromkeys(examples[n].texts[0] for n in named))}
        label_names = sorted({label for labels in dataset.table["labels"] for label in labels})
        place_of = {label: place for place, label in enumerate(label_names)}
        labels = LabelSets.from_lists([[place_of[label] for label in one.labels] for one in examples], len(label_names))
        if len(number) < 2:
            number, named = {}, []
        if len(label_names) < 2 or not len(labels.rows_K):
            label_names = []
        if not number and not label_names:
            raise UserError(f"the {len(examples)} {split} images of {dataset.name} have neither two different texts "
                            "nor two labels: there is nothing to tell apart")
        as_texts, _ = _read_shares(dataset, label_names)
        prompts = PLAIN if as_texts >= READ else choose_prompts(EvaluateConfig(), dataset.name, dataset.source)
        return cls(dataset, examples, np.stack(pixels), tuple(number), np.array(named, np.int64),
                   np.array([number[examples[place].texts[0]] for place in named], np.int64), tuple(label_names),
                   labels, prompts)

    def ask(self, model: DualEncoder | Predictor) -> ZeroShotFigures:
        """Measure a model, in evaluation mode.

        Raises:
            UserError: the model returns NaN.
        """
        score = _scorer(model, self.pixels_NSSC)
        ids = [example.id for example in self.examples]
        found = ZeroShotFigures({}, {}, {})
        if self.names:
            scores_MT = score(self.named_M, self.names, AS_WRITTEN)
            refuse_nan(scores_MT, [ids[place] for place in self.named_M])
            _add_names(found, classify(scores_MT, self.own_M))
        if self.label_names:
            prompts = PLAIN if isinstance(model, Predictor) else self.prompts
            scores_NL = score(np.arange(len(ids)), self.label_names, prompts)
            refuse_nan(scores_NL, ids)
            _add_labels(found, scores_NL, self.labels)
        return found


def judged_split(dataset: ImageTextDataset) -> str:
    """What a comparison is judged by: the test split, or the validation split where there is no test."""
    return "validation" if "test" not in set(dataset.table["split"]) else "test"


def most_frequent_label(dataset: ImageTextDataset, split: str) -> tuple[str, float] | None:
    """The label that most images of a split have, and their share of those with a label; None where none has one."""
    own = [labels for labels, name in zip(dataset.table["labels"], dataset.table["split"], strict=True)
           if name == split and labels]
    counts = Counter(label for labels in own for label in set(labels))
    if not counts:
        return None
    label, count = max(counts.items(), key=lambda item: (item[1], item[0]))
    return label, count / len(own)


def main_figure(dataset: ImageTextDataset, split: str) -> str:
    """What models that learn from this data are best judged by; no picture is decoded.

    Returns:
        label_top_1 where at least half of the labels are made of words that training texts have: others can hardly be
        learned. Elsewhere name_top_10, or name_top_1 where there are fewer than twenty.

    Raises:
        UserError: the split has no image, or neither two different texts nor two labels.
    """
    table = dataset.table
    places = [place for place, own in enumerate(table["split"]) if own == split]
    if not places:
        raise UserError(f"{dataset.name} has no {split} images: zero-shot classification is measured on them; give "
                        "more data, or a column split")
    names = {texts[0] for place in places if (texts := table[place]["texts"])}
    labels = sorted({label for own in table["labels"] for label in own})
    labelled = len(labels) > 1 and any(table[place]["labels"] for place in places)
    if len(names) < 2 and not labelled:
        raise UserError(f"the {len(places)} {split} images of {dataset.name} have neither two different texts nor two "
                        "labels: there is nothing to tell apart")
    if labelled and (len(names) < 2 or _read_shares(dataset, labels)[1] >= READ):
        return "label_top_1"
    return "name_top_10" if len(names) >= 10 * CROWD else "name_top_1"


def _scorer(model: DualEncoder | Predictor, pixels_NSSC: np.ndarray) -> Callable[
        [np.ndarray, Sequence[str], Prompts], np.ndarray]:
    """Scores (M, C) of some of the images with classes by their names; the images are read once."""
    if isinstance(model, Predictor):
        features_NLW = model.read_pixels(pixels_NSSC)

        def predicted(rows_M: np.ndarray, names: Sequence[str], prompts: Prompts) -> np.ndarray:
            return mean_over_prompts(model.scores(features_NLW[rows_M], class_texts(names, prompts)), names)

        return predicted
    images_ND = model.embed_pixels(pixels_NSSC)

    def embedded(rows_M: np.ndarray, names: Sequence[str], prompts: Prompts) -> np.ndarray:
        vectors_CPD = model.embed_texts(class_texts(names, prompts)).reshape(len(names), len(prompts.templates), -1)
        return images_ND[rows_M] @ class_vectors(vectors_CPD).T

    return embedded


def _add_names(found: ZeroShotFigures, names: Classification) -> None:
    for figure, k in (("name_top_1", 1), ("name_top_10", 10)):
        if names.classes < CROWD * k:
            continue
        found.right[figure] = names.ranks_N <= k
        found.figures[figure] = float(found.right[figure].mean())
        found.chances[figure] = min(1.0, k / names.classes)


def _add_labels(found: ZeroShotFigures, scores_NL: np.ndarray, labels: LabelSets) -> None:
    rows, means = rank_rows(scores_NL, labels), label_ranking(scores_NL, labels)
    assert rows is not None
    assert means is not None
    found.right["label_top_1"] = rows.recall_at_1_N > 0
    found.figures["label_top_1"] = float(found.right["label_top_1"].mean())
    found.chances["label_top_1"] = float(rows.labels_N.mean() / labels.vocabulary)
    found.figures["label_macro_map"] = means.macro_average_precision
    found.chances["label_macro_map"] = means.chance_macro


def _read_shares(dataset: ImageTextDataset, label_names: Sequence[str]) -> tuple[float, float]:
    """The shares of labels that are training texts themselves, and whose every word occurs in training texts."""
    table = dataset.table
    texts = {readable(text) for own, labels, split in zip(table["texts"], table["labels"], table["split"], strict=True)
             if split == "train" for text in own or [", ".join(labels)]}
    words = {word for text in texts for word in _words(text)}
    size = max(1, len(label_names))
    return (sum(readable(label) in texts for label in label_names) / size,
            sum(_words(readable(label)) <= words for label in label_names) / size)


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))
