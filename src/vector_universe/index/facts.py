"""What a universe says of itself in universe.json, and whether it is the one that is wanted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vector_universe.errors import UserError
from vector_universe.folders import check_folder, replace_text
from vector_universe.index.store import ItemTable

if TYPE_CHECKING:
    from vector_universe.models import DualEncoder

KIND = "universe"
FORMAT = 2
FILE = "universe.json"

Vectors = Literal["image", "fused"]
_VECTORS: dict[str, str] = {"image": "vectors of the images", "fused": "vectors of images fused with their texts"}


@dataclass(frozen=True)
class Facts:
    """What universe.json says: which model and data made this universe, and what is in it."""

    format: int
    name: str
    attribution: str
    count: int
    dimension: int
    vectors: Vectors
    skipped: int
    model_fingerprint: str
    data_fingerprint: str
    model_folder: str | None
    examples: list[str]

    def describe(self) -> str:
        """One line for people: name, size, what the vectors are of, and which model made them."""
        skipped = f", {self.skipped} rows left out (see skipped.csv)" if self.skipped else ""
        return (f"{self.name}: {self.count} items of {self.dimension} dimensions{skipped}, {_VECTORS[self.vectors]}, "
                f"model {self.model_fingerprint[:12]}")

    def differences(self, model_fingerprint: str, data_fingerprint: str, vectors: Vectors) -> list[str]:
        """In words, what tells this universe from one of another model, other data or other vectors."""
        found = [f"another {what} ({ours[:12]}, not {theirs[:12]})"
                 for what, ours, theirs in (("model", self.model_fingerprint, model_fingerprint),
                                            ("data set", self.data_fingerprint, data_fingerprint)) if ours != theirs]
        return found + ([_VECTORS[self.vectors]] if self.vectors != vectors else [])


def write_facts(path: Path, facts: Facts) -> None:
    """Write universe.json; a folder without it is no universe, so that it comes last."""
    replace_text(path / FILE, json.dumps(asdict(facts), ensure_ascii=False, indent=2) + "\n")


def read_facts(path: Path) -> Facts:
    """Read universe.json.

    Raises:
        UserError: there is no universe, it is damaged, or of another format.
    """
    check_folder(path, KIND)
    try:
        stored = json.loads((path / FILE).read_text(encoding="utf-8"))
        found = int(stored["format"])
        if found != FORMAT:
            raise UserError(f"{path} is a universe of format {found}, this version reads {FORMAT}: "
                            "build it again with `vu index … --overwrite`")
        facts = Facts(**stored)
        if facts.vectors not in _VECTORS:
            raise ValueError
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is a damaged universe ({FILE}: {type(error).__name__}): build it again with "
                        "`vu index … --overwrite`") from error
    return facts


def reuse_or_refuse(out: Path, model_fingerprint: str, data_fingerprint: str, vectors: Vectors,
                    overwrite: bool) -> bool:
    """True: `out` is already what is asked for. False: it may be replaced.

    Raises:
        UserError: it is something else, or damaged, and `overwrite` is false.
    """
    try:
        facts = read_facts(out)
        ItemTable.open(out)
    except UserError:
        if overwrite:  # damaged or of another format: that is what overwriting mends
            return False
        raise
    differences = facts.differences(model_fingerprint, data_fingerprint, vectors)
    if differences and not overwrite:
        raise UserError(f"{out} is a universe of {' and '.join(differences)}: replace it with --overwrite "
                        "or give --out another folder")
    return not differences


def check_model(path: Path, facts: Facts, model: DualEncoder) -> None:
    """Refuse a model that did not make the universe.

    Raises:
        UserError: with both fingerprints.
    """
    fingerprint = model.fingerprint()
    if fingerprint != facts.model_fingerprint:
        raise UserError(f"{path} was made by the model {facts.model_fingerprint[:12]}, not by {fingerprint[:12]}: "
                        "queries of another model find nonsense; build it again with `vu index … --overwrite`")
