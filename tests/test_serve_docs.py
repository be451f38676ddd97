"""The commands and the code of docs/serving.md run as they stand there, but for the port."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.served import ServedModel, in_thread
from tests.universes import data_set, examples_of, png
from vector_universe.index import Universe
from vector_universe.serve import create_app

TEXT = (Path(__file__).parents[1] / "docs" / "serving.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:8765"


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VU_TOKEN", raising=False)
    Path("picture.png").write_bytes(png(1))
    with in_thread(create_app(Universe.build(ServedModel(), data_set(examples_of(12)), "universe"))) as address:
        yield address


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_commands_run(server):
    lines = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
    commands = [shlex.split(line.replace(ADDRESS, server)) for line in lines if line.startswith("curl")]
    answers = [json.loads(subprocess.run([*command, "-s"], capture_output=True, check=True, timeout=20).stdout)
               for command in commands]
    assert len(answers[0]["hits"]) == 3
    assert len(answers[1]["hits"]) == 12
    assert {label["name"] for label in answers[2]["labels"]} == {"circle", "square"}


def test_the_code_runs(server, capsys):
    block = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(block[1].replace(ADDRESS, server), "serving.md", "exec"), {})
    assert "48 dimensions" in capsys.readouterr().out
