"""What a model was trained on, as far as its run folder tells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vector_universe.data import ImageTextDataset, load_dataset
from vector_universe.errors import UserError
from vector_universe.evaluation.subject import Subject
from vector_universe.folders import folder_kind
from vector_universe.models.card_figures import TRAINED_ON


@dataclass(frozen=True)
class TrainedOn:
    """The examples that a model learned from.

    Attributes:
        dataset: these examples, whatever their split now says.
        known: whether the run itself tells, or the train split of the data that it is measured on had to stand in.
        ids: of the examples, where they are of the data that the model is measured on.
        remark: where that comes from, for people.
    """

    dataset: ImageTextDataset
    known: bool
    ids: frozenset[str]
    remark: str


def trained_on(subject: Subject) -> TrainedOn | None:
    """What the subject's model was trained on; None where nothing can stand in for it.

    Of a run that was trained on the same source, the examples that the run names, so that other splits are noticed; of
    a run that was trained on another source, that source, where it still is.
    """
    data = subject.dataset
    split = {id for id, split in zip(data.table["id"], data.table["split"], strict=True) if split == "train"}
    if subject.folder is None or folder_kind(subject.folder) != "run":
        return _of(data, split, "It is not known what this model was trained on: the train split of the same data "
                   "stands in for it.", known=False, here=True)
    run = _json(subject.folder / "data.json")
    named = _ids(subject.folder / TRAINED_ON)
    source = str(run.get("source", ""))
    if run.get("fingerprint") == data.fingerprint or (source and _same_place(source, data.source)):
        return _of(data, split if named is None else named, "The model was trained on examples of the same source.",
                   known=named is not None, here=True)
    try:
        other = load_dataset(source)
    except (UserError, OSError):
        return _of(data, split, f"The model was trained on {source}, which cannot be read here: the train split of the "
                   "data that it is measured on stands in for it.", known=False, here=True)
    if named is None:
        named = {id for id, split in zip(other.table["id"], other.table["split"], strict=True) if split == "train"}
    return _of(other, named, f"The model was trained on {other.name}.", known=True, here=False)


def _of(dataset: ImageTextDataset, ids: set[str], remark: str, known: bool, here: bool) -> TrainedOn | None:
    """`here`: the examples are of the data that the model is measured on."""
    places = [place for place, id in enumerate(dataset.table["id"]) if id in ids]
    if not places:
        return None
    return TrainedOn(dataset.select(places), known, frozenset(ids) if here else frozenset(), remark)


def _ids(path: Path) -> set[str] | None:
    try:
        return {json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()}
    except (OSError, ValueError):
        return None


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _same_place(one: str, other: str) -> bool:
    return one == other or (Path(one).exists() and Path(other).exists() and Path(one).samefile(other))
