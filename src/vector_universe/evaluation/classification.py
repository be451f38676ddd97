"""Classification: how often is the true class the likeliest, and which classes are taken for which?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vector_universe.data import Example
from vector_universe.errors import UserError

NAMED = 5  # names that a message lists before it counts the rest


@dataclass(frozen=True, eq=False)
class Classification:
    """How N rows were sorted into C classes, row by row, so that means, intervals and confusions can be taken.

    Attributes:
        classes_N: the true class of each row.
        predicted_N: the likeliest class of each row; never the true one where another is as likely.
        ranks_N: the rank of the true class, from 1; last among equals.
        classes: C, however many of them occur.
    """

    classes_N: np.ndarray
    predicted_N: np.ndarray
    ranks_N: np.ndarray
    classes: int

    @property
    def correct_at_1(self) -> np.ndarray:
        """Whether the true class is the likeliest, bool (N,)."""
        return self.ranks_N <= 1

    @property
    def correct_at_5(self) -> np.ndarray:
        """Whether the true class is among the five likeliest, bool (N,)."""
        return self.ranks_N <= 5

    @property
    def top_1(self) -> float:
        """Share of rows whose true class is the likeliest."""
        return float(self.correct_at_1.mean())

    @property
    def top_5(self) -> float | None:
        """Share of rows whose true class is among the five likeliest; None where there are no more than five."""
        return float(self.correct_at_5.mean()) if self.classes > 5 else None

    @property
    def count_C(self) -> np.ndarray:
        """How many rows each class has."""
        return np.bincount(self.classes_N, minlength=self.classes)

    @property
    def recall_C(self) -> np.ndarray:
        """Share of the rows of each class that are predicted as such; NaN where it has none."""
        return _share(np.diag(self.confusion_CC), self.count_C)

    @property
    def precision_C(self) -> np.ndarray:
        """Share of the rows predicted as each class that are of it; NaN where it is never predicted."""
        return _share(np.diag(self.confusion_CC), self.confusion_CC.sum(axis=0))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur: a rare one counts as much as a frequent one."""
        return float(np.nanmean(self.recall_C))

    @property
    def confusion_CC(self) -> np.ndarray:
        """How many rows of each true class (down) are predicted as each class (across)."""
        flat = np.bincount(self.classes_N * self.classes + self.predicted_N, minlength=self.classes**2)
        return flat.reshape(self.classes, self.classes)

    @property
    def most_frequent_share(self) -> float:
        """The top-1 of a guesser who always names the most frequent class."""
        return float(self.count_C.max() / len(self.classes_N))


def classify(scores_NC: np.ndarray, classes_N: np.ndarray) -> Classification:
    """Give every row the class of its highest score.

    A tie counts against the model: among equal scores the true class comes last, so that a collapsed model scores 0.

    Args:
        scores_NC: the higher, the likelier.
        classes_N: the true class of each row, from 0.

    Raises:
        ValueError: there is no row or but one class, a score is not finite, or a class is out of range.
    """
    classes_N = np.asarray(classes_N, np.int64)
    if scores_NC.ndim != 2 or not len(scores_NC) or scores_NC.shape[1] < 2 or classes_N.shape != scores_NC.shape[:1]:
        raise ValueError(f"scores_NC is {scores_NC.shape}, classes_N is {classes_N.shape}: give a class for each of N "
                         "≥ 1 rows, and at least two classes to choose from")
    if not np.isfinite(scores_NC).all():
        raise ValueError(f"row {int((~np.isfinite(scores_NC)).any(axis=1).argmax())} of scores_NC is not finite")
    classes = scores_NC.shape[1]
    if classes_N.min() < 0 or classes_N.max() >= classes:
        raise ValueError(f"classes_N runs from {classes_N.min()} to {classes_N.max()}: there are {classes} classes")
    rows_N = np.arange(len(scores_NC))
    own_N = scores_NC[rows_N, classes_N]
    ranks_N = (scores_NC >= own_N[:, None]).sum(axis=1)
    others_NC = scores_NC.copy()
    others_NC[rows_N, classes_N] = -np.inf if scores_NC.dtype.kind == "f" else np.iinfo(scores_NC.dtype).min
    return Classification(classes_N, np.where(ranks_N == 1, classes_N, others_NC.argmax(axis=1)), ranks_N, classes)


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of single-label examples.

    Attributes:
        names: of the C classes, sorted.
        places_N: places of the examples that have one of them.
        numbers_N: which one each has.
    """

    names: tuple[str, ...]
    places_N: np.ndarray
    numbers_N: np.ndarray

    @property
    def counts_C(self) -> np.ndarray:
        """How many examples each class has."""
        return np.bincount(self.numbers_N, minlength=len(self.names))


def classes_of(examples: Sequence[Example], places: Sequence[int] | np.ndarray,
               names: Sequence[str] | None = None) -> Classes:
    """The classes of the examples at these places; those without a label are left out.

    Args:
        examples: each with one label at most.
        places: which of them.
        names: only these classes, in this order, whether they occur or not; by default those that occur.

    Raises:
        ValueError: an example has several labels.
        UserError: there are fewer than two classes to tell apart, or no example has one of `names`.
    """
    kept = [(int(place), examples[place].labels[0]) for place in places if examples[place].labels]
    several = next((place for place in places if len(examples[place].labels) > 1), None)
    if several is not None:
        raise ValueError(f"example {examples[several].id} has several labels: classes are of examples with one")
    found = sorted({label for _, label in kept})
    names = tuple(found if names is None else names)
    if not found:
        raise UserError("no image has a label: there is nothing to classify")
    if len(names) < 2:
        raise UserError(f"every image has the label {names[0]!r}: there is nothing to tell apart")
    number = {name: place for place, name in enumerate(names)}
    if not number.keys() & set(found):
        raise UserError(f"none of the labels {listed(found)} is among {listed(names)}: the two sets share no class")
    kept = [(place, label) for place, label in kept if label in number]
    return Classes(names, np.array([place for place, _ in kept], np.int64),
                   np.array([number[label] for _, label in kept], np.int64))


def class_splits(examples: Sequence[Example], train: Sequence[int] | np.ndarray,
                 test: Sequence[int] | np.ndarray) -> tuple[Classes, Classes, list[str]]:
    """Classes to learn from and to judge by, and warnings: test images of classes without training images are left out.

    Raises:
        ValueError: an example has several labels.
        UserError: there are fewer than two classes to learn, no class has two images, or the splits share no class.
    """
    learnt = classes_of(examples, train)
    if learnt.counts_C.max() < 2:
        raise UserError(f"each of {len(learnt.names)} classes has one training image: nothing can be learnt from them")
    judged = classes_of(examples, test, learnt.names)
    strange = sorted({label for place in test for label in examples[place].labels} - set(learnt.names))
    left_out = sum(1 for place in test if examples[place].labels) - len(judged.places_N)
    warnings = [f"{left_out} test image{'s are' if left_out > 1 else ' is'} left out, of classes without a training "
                f"image: {listed(strange)}"] if strange else []
    return learnt, judged, warnings


def listed(names: Sequence[str]) -> str:
    """The first names, and how many there are beyond."""
    shown = ", ".join(repr(name) for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _share(parts_C: np.ndarray, of_C: np.ndarray) -> np.ndarray:
    return np.divide(parts_C, of_C, out=np.full(len(of_C), np.nan), where=of_C > 0)
