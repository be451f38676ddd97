"""`vu data curate`: killed and continued, refused in one line, and what it leaves for people."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.test_curation import kept, many_pairs, write_pairs
from vector_universe.cli import main
from vector_universe.data.curation import report
from vector_universe.data.curation.config import CurationConfig
from vector_universe.data.curation.run import curate
from vector_universe.data.curation.workers import Workers
from vector_universe.errors import UserError

# Small steps, and some time over each, so that a kill meets every one of them.
PROGRAM = """
import sys, time
from vector_universe.data.curation import match_shards, report, run, select_pairs, shards, write_kept
from vector_universe.data.curation import report
from vector_universe.data.curation.config import CurationConfig
slow = float(sys.argv[2])
def slowed(function):
    def call(*arguments, **named):
        time.sleep(slow)
        return function(*arguments, **named)
    return call
shards.UNIT_ROWS, shards.ROWS, match_shards.RUN_ROWS = 200, 50, 100
select_pairs.RANGE_PAIRS, select_pairs.SAVE_SECONDS = 100, 0.0
report._plot = lambda *_: ""
match_shards.write_run, select_pairs._read = slowed(match_shards.write_run), slowed(select_pairs._read)
write_kept.charges, run.write_report = slowed(write_kept.charges), slowed(run.write_report)
run.curate([sys.argv[1] + "/*.parquet", sys.argv[1] + "/*.csv"], sys.argv[1] + "/out",
           CurationConfig(cap=9, min_count=5, processes=1))
"""


def shards(folder: Path) -> Path:
    """Two Parquet files in groups of rows, and a CSV."""
    folder.mkdir()
    for part in range(2):
        ids, texts = zip(*many_pairs()[part::3], strict=True)
        table = pa.table({"id": ids, "text": texts, "number": range(200)})
        pq.write_table(table, folder / f"{part}.parquet", row_group_size=60)
    with (folder / "2.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "text", "number"), *((*pair, 1) for pair in many_pairs()[2::3])])
    return folder


def content(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


def test_a_killed_curation_goes_on_to_the_same_bytes(tmp_path):
    folder = shards(tmp_path / "killed")
    started, kills = random.Random(3), 0
    for _ in range(40):
        program = subprocess.Popen([sys.executable, "-c", PROGRAM, str(folder), "0.03"])
        time.sleep(started.uniform(0.4, 1.6))
        program.send_signal(signal.SIGKILL)
        if program.wait() == 0:
            break
        kills += 1
        if kills == 6:
            subprocess.run([sys.executable, "-c", PROGRAM, str(folder), "0"], check=True)
            break
    assert kills >= 2
    killed = content(folder / "out")
    (folder / "out").rename(folder / "killed")
    subprocess.run([sys.executable, "-c", PROGRAM, str(folder), "0"], check=True)
    assert killed == content(folder / "out")
    assert not (folder / "out" / "work").exists()
    assert len([name for name in killed if name.startswith("kept")]) == 3


def test_several_processes_come_to_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "_plot", lambda *_: "")
    folder = shards(tmp_path / "data")
    sources = [str(folder / "*.parquet"), str(folder / "2.csv")]
    one = curate(sources, tmp_path / "one", CurationConfig(cap=9, min_count=5, processes=1))
    assert one == curate(sources, tmp_path / "two", CurationConfig(cap=9, min_count=5, processes=2))
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_the_command_and_what_it_leaves(tmp_path, capsys):
    folder = shards(tmp_path / "data")
    (tmp_path / "list.txt").write_text("Cat\nplatypus\na photo\nunicorn\n")
    command = ["data", "curate", str(folder / "*.parquet"), "--out", str(tmp_path / "out"), "--queries",
               str(tmp_path / "list.txt"), "--cap", "20", "--processes", "1"]
    main(command)
    said = capsys.readouterr().err
    pairs = kept(tmp_path / "out")
    assert f"{len(pairs):,} of 400 pairs kept" in said
    assert set(pairs.values()) == {"cat", "platypus", "a photo"}
    table = pq.read_table(tmp_path / "out" / "kept")
    assert table.column_names == ["id", "text", "number", "query"]
    rows = {row["id"]: row for row in pq.read_table(str(folder / "0.parquet")).to_pylist()}
    assert all(rows.get(row["id"], row)["number"] == row["number"] for row in table.to_pylist())
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"{len(pairs):,} of 400 pairs are kept" in page
    assert "1 match nothing" in page
    assert page.index("are kept") < page.index("<svg") < page.index("<td>platypus<td>")
    assert "http" not in page.split("<svg")[0]
    assert "<script" not in page
    with (tmp_path / "out" / "queries.csv").open() as file:
        assert {row["query"]: int(row["charged"]) for row in csv.DictReader(file)}["cat"] == 20
    assert "`kept/*.parquet`" in (tmp_path / "out" / "README.md").read_text()

    main(command)  # once more is no work
    assert capsys.readouterr().err == said
    main(["data", "curate", str(tmp_path / "out" / "kept"), "--out", str(tmp_path / "again"), "--queries",
          str(tmp_path / "out" / "queries.txt"), "--cap", "5", "--processes", "1"])  # of one's own output
    assert pq.read_table(tmp_path / "again" / "kept").column_names == ["id", "text", "number", "query"]


def test_lists_of_texts_and_pictures_pass_through(tmp_path):
    pq.write_table(pa.table({"key": [1, 2, 3], "caption": [["a cat", "sea"], ["dog"], None],
                             "image": [b"one", b"two", b"three"]}), tmp_path / "a.parquet")
    (tmp_path / "list.txt").write_text("sea\ndog")
    curate([str(tmp_path / "a.parquet")], tmp_path / "out", CurationConfig(queries=tmp_path / "list.txt"))
    table = pq.read_table(tmp_path / "out" / "kept")
    assert table.select(["key", "image", "query"]).to_pylist() == [
        {"key": 1, "image": b"one", "query": "sea"}, {"key": 2, "image": b"two", "query": "dog"}]


def test_what_lies_beside_the_shards_of_a_folder_is_none(tmp_path):
    folder = tmp_path / "import"
    folder.mkdir()
    pq.write_table(pa.table({"id": ["1"], "texts": [["a cat"]]}), folder / "shard-00000.parquet")
    (folder / "index.json").write_text("{}")
    (folder / "skipped.csv").write_text("file,row,reason\n")
    (tmp_path / "list.txt").write_text("cat")
    assert curate([str(folder)], tmp_path / "out", CurationConfig(queries=tmp_path / "list.txt")).kept == 1


def test_nothing_that_matches_is_said_and_no_error(tmp_path):
    write_pairs(tmp_path / "a.csv", [("1", "cat")])
    (tmp_path / "list.txt").write_text("unicorn")
    assert curate([str(tmp_path / "a.csv")], tmp_path / "out", CurationConfig(queries=tmp_path / "list.txt")).kept == 0
    assert "Nothing is kept" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize(("arguments", "line"), [
    (["none.parquet"], "none.parquet names no file"), (["empty"], "empty names no file"),
    (["tars"], "tars holds tars: bring them into Parquet by vu data import"),
    (["list.png"], "list.png is no shard of texts"), ([], "no shards"),
    (["broken.parquet"], "broken.parquet is no Parquet file that can be read"),
    (["numbers.csv"], "numbers.csv has the columns id, number: say by --text-columns which holds the texts"),
    (["a.csv", "--text-columns", "title"], "a.csv has no column title: it has id, caption"),
    (["a.csv", "--id-column", "name"], "a.csv has no column name"),
    (["a.csv", "numbers.csv"], "numbers.csv has no column caption, unlike the first shard: it has id, number"),
    (["number.parquet", "--text-columns", "n"], "the column n holds int64, no texts"),
    (["a.csv", "--queries", "none.txt"], "none.txt does not exist"),
    (["a.csv", "--queries", "blank.txt"], "blank.txt has no query"),
    (["a.csv"], "no word occurs 100 times in these texts: lower --min-count, or give --queries"),
    (["latin.csv", "--min-count", "1"], "latin.csv cannot be read"),
    (["torn.jsonl", "--min-count", "1"], "torn.jsonl cannot be read"),
    (["a.csv", "--cap", "0"], "--cap 0 would keep nothing"),
    (["a.csv", "--seed", "-1"], "--seed -1 is out of range"),
    (["a.csv", "--out", "full"], "full holds something else than a curation"),
])
def test_mistakes_end_with_one_line(tmp_path, monkeypatch, capsys, arguments, line):
    monkeypatch.chdir(tmp_path)
    write_pairs(Path("a.csv"), [("1", "cat")])
    Path("numbers.csv").write_text("id,number\n1,2\n")
    Path("latin.csv").write_bytes(b"id,caption\n1,caf\xe9\n")
    Path("torn.jsonl").write_text('{"id": "1", "caption": "cat"}\n{"id": "2", "cap')
    Path("broken.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"n": [1]}), "number.parquet")
    Path("blank.txt").write_text("\n")
    Path("list.png").write_text("")
    Path("tars").mkdir()
    Path("tars/shard-0.tar").write_bytes(b"")
    Path("empty").mkdir()
    Path("full").mkdir()
    Path("full", "mine.txt").write_text("")
    with pytest.raises(SystemExit) as left:
        main(["data", "curate", *arguments, *([] if "--out" in arguments else ["--out", "out"]), "--processes", "1"])
    said = capsys.readouterr().err.splitlines()
    assert left.value.code == 2
    assert len(said) == 1
    assert line in said[0]


def test_other_settings_or_texts_are_refused(tmp_path):
    write_pairs(tmp_path / "a.csv", [("1", "cat")])
    source, out = [str(tmp_path / "a.csv")], tmp_path / "out"
    config = CurationConfig(min_count=1, processes=1)
    curate(source, out, config)
    with pytest.raises(UserError, match="holds a curation with other cap: give --out another folder"):
        curate(source, out, CurationConfig(min_count=1, cap=5))
    write_pairs(tmp_path / "a.csv", [("1", "a cat")])
    with pytest.raises(UserError, match="with other shards"):
        curate(source, out, config)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_a_worker_ends_with_its_parent():
    """Or it would write beside the one that continues."""
    program = subprocess.Popen([sys.executable, "-c", """
import os, time
from vector_universe.data.curation.workers import Workers
with Workers(2, lambda *_: None) as workers:
    print(next(workers.calls("", os.readlink, [("/proc/self",)])), flush=True)
    time.sleep(60)
"""], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    worker = Path("/proc", program.stdout.readline().strip())
    assert worker.exists()
    program.kill()
    program.wait()
    deadline = time.monotonic() + 10
    while worker.exists():
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.05)


def test_a_worker_that_is_killed_is_told_in_one_line():
    with Workers(2, lambda *_: None) as workers, pytest.raises(UserError, match=r"a process was killed, .* goes on"):
        next(workers.calls("", os._exit, [(9,), (9,)]))
