"""A curation from shards of texts to a folder: match, choose, write; kill it at any moment, and the same goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vector_universe.data.curation.build_list import build_queries
from vector_universe.data.curation.config import CurationConfig
from vector_universe.data.curation.match_shards import match_unit, matched
from vector_universe.data.curation.queries import read_queries, read_written, write_queries
from vector_universe.data.curation.report import QueryTable, write_report
from vector_universe.data.curation.select_pairs import select
from vector_universe.data.curation.shards import Columns, Unit, find_columns, find_shards, units_of
from vector_universe.data.curation.workers import Workers
from vector_universe.data.curation.write_kept import write_unit
from vector_universe.data.read_ahead import cores
from vector_universe.errors import UserError
from vector_universe.folders import claim_folder, replace_text
from vector_universe.progress import stages

FACTS, QUERIES, KEPT = "curation.json", "queries.txt", "kept"


@dataclass(frozen=True)
class Curation:
    """What came of it.

    Attributes:
        rows: read.
        matched: pairs that match a query, each once.
        duplicates: rows left out because another row has their id.
        kept: pairs written.
        queries: in the list.
        full: queries that reached the cap and had more matching pairs.
        cap: most pairs charged to a query.
    """

    rows: int
    matched: int
    duplicates: int
    kept: int
    queries: int
    full: int
    cap: int

    def summary(self) -> str:
        """One line for people."""
        return (f"{self.kept:,} of {self.rows:,} pairs kept ({self.matched:,} match a query); "
                f"{self.full:,} of {self.queries:,} queries reached the cap of {self.cap:,}")


def curate(sources: Sequence[str], out: str | Path, config: CurationConfig | None = None) -> Curation:
    """Keep at most `config.cap` pairs for each query; `selection` says exactly which, and why those.

    Args:
        sources: Parquet, JSONL or CSV files, folders of them, or patterns.
        out: folder to write: kept/*.parquet, queries.csv, queries.txt, report.html, README.md.
        config: settings.

    Raises:
        UserError: nothing to read, columns or queries missing, or `out` holds something else.
    """
    config = config or CurationConfig()
    config.check()
    out = Path(out)
    shards = find_shards(sources)
    columns = find_columns(shards[0], config.text_columns, config.id_column)
    given = read_queries(config.queries) if config.queries else None
    claim_folder(out, "curation")
    facts = _begin(out, _fingerprint(shards, columns, config, given))
    if "result" in facts:
        shutil.rmtree(out / "work", ignore_errors=True)
        return Curation(**facts["result"])
    units = units_of(shards)
    work = out / "work"
    for folder in (work / "matched", work / "written", out / KEPT):
        folder.mkdir(parents=True, exist_ok=True)
    if not units:
        raise UserError(f"{shards[0]} has no rows: give shards with texts")
    with stages() as progress, Workers(min(config.processes or cores(), len(units)), progress) as workers:
        list_file = work / QUERIES  # the copy in `out` is for people, who may edit it at any time
        if not list_file.exists():
            write_queries(list_file, given or build_queries(units, columns, config, workers.each))
        write_queries(out / QUERIES, read_written(list_file))
        result = _run(out, work, units, columns, config, workers, progress)
    _store(out, facts | {"result": asdict(result)})
    shutil.rmtree(work)
    return result


def _run(out: Path, work: Path, units: Sequence[Unit], columns: Columns, config: CurationConfig, workers: Workers,
         progress: Any) -> Curation:
    list_file = work / QUERIES
    folders = [work / "matched" / f"{number:05d}" for number in range(len(units))]
    for _ in workers.calls("matching texts", match_unit, [
            (unit, folder, columns, list_file, config.substring, config.seed)
            for unit, folder in zip(units, folders, strict=True)]):
        pass
    left = [matched(folder) for folder in folders]
    selection = select(left, config.cap, work, progress)
    charged, kept = np.zeros_like(selection.charged), np.zeros_like(selection.charged)
    for done in workers.calls("writing pairs", write_unit, [
            (unit, folder, out / KEPT / f"part-{number:05d}.parquet", work / "written" / f"{number:05d}.npz", work,
             list_file) for number, (unit, folder) in enumerate(zip(units, folders, strict=True))]):
        with np.load(done) as counts:
            charged += counts["charged"]
            kept += counts["kept"]
    if not np.array_equal(charged, selection.charged):
        raise RuntimeError("the pairs written are not the pairs chosen")  # a fault of ours, never silent
    with np.load(work / "counts.npz") as counts:
        duplicates = int(counts["duplicates"])
    table = QueryTable(read_written(list_file), selection.counts, kept, charged)
    result = Curation(rows=sum(unit.rows for unit in left), duplicates=duplicates,
                      matched=sum(run.pairs for unit in left for run in unit.runs) - duplicates,
                      kept=int(charged.sum()), queries=len(table.queries),
                      full=int(((charged == config.cap) & (selection.counts > config.cap)).sum()), cap=config.cap)
    write_report(out, table, result, columns, config)
    return result


def _fingerprint(shards: Sequence[str], columns: Columns, config: CurationConfig,
                 given: Sequence[str] | None) -> dict[str, Any]:
    files = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in shards]
    listed = {"queries": _hash(given)} if given is not None else {
        "min_count": config.min_count, "min_pmi": config.min_pmi}
    return {"shards": _hash(files), "columns": columns.used, "cap": config.cap, "substring": config.substring,
            "seed": config.seed, **listed}


def _begin(out: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Say in the folder what it is to be, or see that it is the same already."""
    file = out / FACTS
    if not file.exists():
        _store(out, {"settings": settings})
    facts: dict[str, Any] = json.loads(file.read_text())
    if facts["settings"] != settings:
        other = sorted(name for name in settings.keys() | facts["settings"].keys()
                       if settings.get(name) != facts["settings"].get(name))
        raise UserError(f"{out} holds a curation with other {', '.join(other)}: give --out another folder")
    return facts


def _store(out: Path, facts: dict[str, Any]) -> None:
    replace_text(out / FACTS, json.dumps(facts, indent=2) + "\n")


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]
