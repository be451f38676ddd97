"""A generation of a universe: one model, the table it filled, and what is known about them.

A universe names the generation that is in use (universe.json, replaced as a whole). Another model fills a generation of
its own beside it, and takes over when it is complete.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vector_universe.errors import UserError
from vector_universe.folders import MARKER
from vector_universe.index.table.place import Place

if TYPE_CHECKING:
    from vector_universe.models import DualEncoder

KIND = "universe"
FORMAT = 3
POINTER = "universe.json"
_FACTS = "generation.json"
_NAME = re.compile(r"g\d{4}")
_WEIGHTS = (".safetensors",)  # too large to read at every open: loading the model compares its fingerprint

Vectors = Literal["image", "fused"]
VECTORS: dict[str, str] = {"image": "vectors of the images", "fused": "vectors of images fused with their texts"}


@dataclass(frozen=True)
class Generation:
    """What generation.json says.

    Attributes:
        name: of its folder, "g0001", "g0002", …
        dimension: D of all its vectors.
        vectors: what items are searched by, unless a query says otherwise.
        model_fingerprint: of config, preprocessing, whitening, vocabulary and weights.
        model_folder: where the model came from.
        model_files: sha256 of each small file of the model's copy (preprocessing, whitening's kind, vocabulary,
            calibration, …), and the size of its weights.
    """

    name: str
    dimension: int
    vectors: Vectors
    model_fingerprint: str
    model_folder: str | None
    model_files: dict[str, str]

    def differences(self, model_fingerprint: str, vectors: Vectors) -> list[str]:
        """In words, what tells it from one of another model or other vectors."""
        found = [] if model_fingerprint == self.model_fingerprint else [
            f"another model ({self.model_fingerprint[:12]}, not {model_fingerprint[:12]})"]
        return found + ([VECTORS[self.vectors]] if self.vectors != vectors else [])


# ---- the pointer ----

def current(root: Place) -> str | None:
    """The name of the generation in use; None where none is complete yet.

    Raises:
        UserError: this is no universe, or one of another format.
    """
    marker = root.read_json(MARKER)
    if marker is None:
        what = "is not a universe" if root.names() else "does not exist: give the folder of a universe"
        raise UserError(f"{root} {what}")
    if marker.get("kind") != KIND:
        raise UserError(f"{root} is not a universe but a {marker.get('kind')}")
    pointer = root.read_json(POINTER)
    if pointer is None:
        return None
    found = pointer.get("format")
    if not isinstance(found, int) or (found == FORMAT and not _NAME.fullmatch(str(pointer.get("generation")))):
        raise UserError(f"{root} is a damaged universe ({POINTER}): make it again with `vu index … --overwrite`")
    if found > FORMAT:
        raise UserError(f"{root} is a universe of format {found}, this version reads {FORMAT}: a newer version made "
                        "it, so `pip install --upgrade vector-universe`")
    if found < FORMAT:
        raise UserError(f"{root} is a universe of format {found}, this version reads {FORMAT}: make it again with "
                        "`vu index … --overwrite`")
    return str(pointer["generation"])


def switch(root: Place, name: str) -> None:
    """Put a generation into use, at once and for everyone."""
    root.write(POINTER, _pointer_to(name))


def was_moved(root: Place, before: bytes | None, to: str) -> bool:
    """Whether the pointer is neither what it was before, damaged or of another format as that may be, nor at `to`."""
    return pointer(root) not in (before, _pointer_to(to).encode())


def pointer(root: Place) -> bytes | None:
    """The pointer as it is written; None where there is none."""
    return root.read_bytes(POINTER)


def _pointer_to(name: str) -> str:
    return json.dumps({"format": FORMAT, "generation": name}) + "\n"


def claim(root: Place) -> None:
    """Make `root` a universe without a generation, or accept one.

    Raises:
        UserError: it holds something else; nothing in it is changed.
    """
    if root.is_local:
        from vector_universe.folders import claim_folder

        claim_folder(root.path, KIND)
        return
    marker = root.read_json(MARKER)
    if marker is None and root.names():
        raise UserError(f"{root} holds something else than a universe: give --out a new or empty folder")
    if marker is not None and marker.get("kind") != KIND:
        raise UserError(f"{root} is a {marker.get('kind')}, not a universe: give --out another folder")
    if marker is None:
        root.write(MARKER, json.dumps({"kind": KIND}) + "\n")


# ---- generations ----

def generations(root: Place) -> list[str]:
    """The names of all generations, complete or not, oldest first."""
    return [name for name in root.names() if _NAME.fullmatch(name)]


def read(root: Place, name: str) -> Generation:
    """The facts of a generation.

    Raises:
        UserError: they are missing or damaged.
    """
    stored = (root / name).read_json(_FACTS)
    try:
        assert stored is not None
        generation = Generation(**{field.name: stored[field.name] for field in fields(Generation)})
        if generation.vectors not in VECTORS or generation.name != name:
            raise ValueError
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{root} is a damaged universe ({name}/{_FACTS}): make it again with "
                        "`vu index … --overwrite`") from error
    return generation


def unfinished(root: Place, in_use: str | None, model_fingerprint: str, vectors: Vectors) -> Generation | None:
    """A generation of this model that was begun after the one in use, and has not taken over yet."""
    for name in reversed(generations(root)):
        if in_use is not None and name <= in_use:
            break
        try:
            found = read(root, name)
        except UserError:  # stopped before it had facts
            continue
        if not found.differences(model_fingerprint, vectors):
            return found
    return None


def begin(root: Place, model: DualEncoder, vectors: Vectors, dimension: int, model_folder: str | None,
          name: str | None = None) -> Generation:
    """A new generation with a copy of the model, and no table yet; or that of this name again, with its copy whole.

    Two runs that begin at once with the same model share a generation.

    Raises:
        UserError: a run with another model has begun in the same moment.
    """
    parent = root.path if root.is_local else None  # to be brought into place by a rename
    with tempfile.TemporaryDirectory(dir=parent, prefix=".model-") as scratch:
        model.save_pretrained(Path(scratch) / "model")  # takes seconds: the name is chosen after it
        digests = model_digests(Place(scratch))
        names = generations(root)
        name = name or f"g{int(names[-1][1:]) + 1 if names else 1:04d}"
        generation = Generation(name, dimension, vectors, model.fingerprint(), model_folder, digests)
        _write(root, generation)
        (root / name).put_folder(Path(scratch) / "model", "model")
    if read(root, name).differences(generation.model_fingerprint, vectors):
        raise UserError(f"another run has begun to fill {root} with another model: run the same command again")
    return generation


def renew_calibration(root: Place, generation: Generation, model: DualEncoder) -> Generation:
    """Take the model's calibration over, which may be newer than the copy's."""
    from vector_universe.models.calibration import FILE

    place = root / generation.name
    text = None if model.calibration is None else model.calibration.to_json()
    if place.read(f"model/{FILE}") == text:
        return generation
    if text is None:
        place.remove(f"model/{FILE}")
    else:
        place.write(f"model/{FILE}", text)
    renewed = Generation(**(asdict(generation) | {"model_files": model_digests(place)}))
    _write(root, renewed)
    return renewed


def remove_older(root: Place, in_use: str) -> None:
    """Remove the generations before the one in use, and what a universe of format 2 left."""
    for name in generations(root):
        if name < in_use:
            root.remove(name)
    for name in ("items.lance", "model", "skipped.csv"):
        if name in root.names():
            root.remove(name)


# ---- the model's copy ----

def model_digests(place: Place) -> dict[str, str]:
    """sha256 of each small file of the model's copy, and the size of large ones."""
    return {name: f"{place.size(f'model/{name}')} bytes" if name.endswith(_WEIGHTS)
            else hashlib.sha256(place.read_bytes(f"model/{name}") or b"").hexdigest()
            for name in (place / "model").names() if not name.endswith(".md")}


def check_copy(root: Place, generation: Generation) -> None:
    """Refuse a universe whose copy of the model was changed: preprocessing, whitening, calibration, vocabulary.

    Raises:
        UserError: naming the file.
    """
    found = model_digests(root / generation.name)
    for name in sorted({*found, *generation.model_files}):
        if found.get(name) != generation.model_files.get(name):
            raise UserError(f"{root} is damaged: its model's {name} is not the one that the vectors were made with "
                            f"({generation.name}/model/{name}); make it again with `vu index … --overwrite`")


def has_whole_copy(root: Place, generation: Generation) -> bool:
    """Whether the model's copy is there; a run may have been stopped before it was."""
    return model_digests(root / generation.name) == generation.model_files


def check_model(root: Place, generation: Generation, model: DualEncoder) -> None:
    """Refuse a model that did not make the universe.

    Raises:
        UserError: with both fingerprints and what is different.
    """
    fingerprint = model.fingerprint()
    if fingerprint != generation.model_fingerprint:
        raise UserError(f"{root} was made by the model {generation.model_fingerprint[:12]}, not by {fingerprint[:12]}"
                        f"{_what_differs(root / generation.name, model)}: queries of another model find nonsense; "
                        "bring the universe to the new model with `vu index … --migrate`")


def _what_differs(place: Place, model: DualEncoder) -> str:
    stored = place.read_json("model/config.json") or {}
    config = getattr(model, "config", None)
    if config is None or not stored:
        return ""
    given = json.loads(json.dumps(config.to_dict()))
    words = {"preprocessing": [name for name in given if name.startswith("image_") and "tower" not in name],
             "whitening": ["post_processing"], "fusion": ["fusion"]}
    found = [word for word, names in words.items() if any(stored.get(name) != given.get(name) for name in names)]
    return f" (another {', another '.join(found)})" if found else " (other weights)"


def _write(root: Place, generation: Generation) -> None:
    root.write(f"{generation.name}/{_FACTS}", json.dumps(asdict(generation), ensure_ascii=False, indent=1) + "\n")
