"""Damaged files of a universe's table: one clear line, or the very same answer as before; never a wrong one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.universe_folders import CountedModel, Folder, index
from tests.universes import png
from vector_universe import Universe
from vector_universe.errors import UserError
from vector_universe.index.ingest import finish as finishing
from vector_universe.index.search import neighbours
from vector_universe.index.search.filters import HasLabel
from vector_universe.index.search.query import Part, Query

WAYS = ("cut", "emptied", "zeroed", "flipped", "gone")
SAMPLE = 3  # files of each kind


@pytest.fixture(scope="module")
def pristine(tmp_path_factory) -> Path:
    """A universe that has seen it all: several commits, deleted rows, an index of words."""
    place = tmp_path_factory.mktemp("pristine")
    data = Folder(place / "data", range(14), year=2000)
    index(data, place / "u")
    data.add(20, year=2001)
    data.remove("003.png")
    data.rows["004.png"]["title"] = "retold"
    data.write()
    index(data, place / "u")
    return place / "u"


@pytest.fixture(scope="module")
def indexed(tmp_path_factory) -> Path:
    """A universe with an index of vectors."""
    place = tmp_path_factory.mktemp("indexed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finishing, "EXACT_UP_TO", 100)
        patch.setattr(finishing, "project", lambda vectors_ND: vectors_ND[:, :2].copy())
        index(Folder(place / "data", range(300)), place / "u")
    return place / "u"


def ask(out: Path) -> list:
    """What a universe says to questions of all kinds."""
    universe = Universe.open(out, CountedModel())
    queries = (Query(like=(Part(text="picture 3"),), k=30), Query(like=(Part(image=png(5)),), k=5),
               Query(like=(Part(item="005.png"),), k=5),
               Query(like=(Part(text="picture 3"),), filters=(HasLabel("odd"),), k=30),
               Query(like=(Part(text="retold"),), hybrid=True, k=30),
               Query(like=(Part(text="retold"),), against="text", k=30))
    return [universe.search(query).hits for query in queries]


def damage(path: Path, way: str) -> None:
    content = path.read_bytes()
    third = len(content) // 3
    if way == "gone":
        path.unlink()
    elif way == "flipped":
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 16]) + content[middle + 1:])
    else:
        path.write_bytes({"cut": content[:2 * third], "emptied": b"",
                          "zeroed": content[:third] + bytes(third) + content[2 * third:]}[way])


def files(universe: Path) -> list[Path]:
    """Some of each kind of file of the table, the newest first."""
    table = universe / "g0001" / "items.lance"
    kinds: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(table.rglob("*"), key=lambda path: (-path.stat().st_mtime_ns, path)):
        if path.is_file():
            inside = path.relative_to(table)
            kind = path.name if inside.parts[0] == "_indices" else path.suffix
            kinds.setdefault((inside.parts[0], kind), []).append(inside)
    return [path for found in kinds.values() for path in found[:SAMPLE]]


def wrong_answers(universe: Path, scratch: Path, ways=WAYS) -> list[str]:
    """Try every way on every file; what gave neither the same answer nor a clear line."""
    before, wrong, refused = ask(universe), [], 0
    for inside in files(universe):
        for way in ways:
            shutil.copytree(universe, scratch / "u")
            damage(scratch / "u/g0001/items.lance" / inside, way)
            try:
                if ask(scratch / "u") != before:
                    wrong.append(f"{inside} {way}: another answer")
            except UserError as error:
                refused += 1
                if "\n" in str(error) or len(str(error)) > 600:
                    wrong.append(f"{inside} {way}: {error}")
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                wrong.append(f"{inside} {way}: {type(error).__name__} {error}")
            shutil.rmtree(scratch / "u")
    assert refused >= 5
    return wrong


def test_damage_of_a_table_is_named_or_does_not_matter(pristine, tmp_path):
    assert wrong_answers(pristine, tmp_path) == []


@pytest.mark.slow
def test_damage_of_an_indexed_table_is_named_or_does_not_matter(indexed, tmp_path, monkeypatch):
    for module in (finishing, neighbours):
        monkeypatch.setattr(module, "EXACT_UP_TO", 100)
    assert wrong_answers(indexed, tmp_path) == []


@pytest.mark.slow
def test_no_flipped_bit_gives_a_wrong_answer(pristine, tmp_path):
    """Four hundred of the largest data file."""
    before, wrong = ask(pristine), []
    table = pristine / "g0001/items.lance/data"
    largest = max(table.iterdir(), key=lambda path: path.stat().st_size)
    content = largest.read_bytes()
    shutil.copytree(pristine, tmp_path / "u")
    target = tmp_path / "u/g0001/items.lance/data" / largest.name
    for place in range(0, len(content), max(1, len(content) // 400)):
        target.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1:])
        try:
            if ask(tmp_path / "u") != before:
                wrong.append(place)
        except UserError as error:
            wrong += [str(error)] if "\n" in str(error) else []
    assert wrong == []
