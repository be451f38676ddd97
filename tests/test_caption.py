"""`vu caption`: captions of files and of data sets, and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from tests.pictures import write_shapes
from tests.predictors import make
from vector_universe.cli import main

GREYS = (40, 220)


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    """A captioner that knows two pictures by heart, in a run folder."""
    run = tmp_path_factory.mktemp("run")
    model = make("captioner", texts=["a dark night", "a bright day"] * 3)  # a token each word
    images = model.normalise_pixels(torch.tensor(GREYS, dtype=torch.uint8)[:, None, None, None].expand(2, 64, 64, 3))
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    targets = model.targets(["a dark night", "a bright day"])
    for _ in range(50):
        optimiser.zero_grad()
        model.row_losses(model.features(images), *targets).mean().backward()
        optimiser.step()
    model.save_pretrained(run / "model")
    return run


@pytest.fixture
def pictures(tmp_path):
    found = [tmp_path / "dark.png", tmp_path / "bright.png"]
    for path, colour in zip(found, GREYS, strict=True):
        Image.new("RGB", (64, 64), (colour,) * 3).save(path)
    return [str(path) for path in found]


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["caption", *map(str, arguments)])
    assert stopped.value.code == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("vu: ")
    return line


def test_pictures_get_their_captions(captioner, pictures, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    main(["caption", str(captioner), *pictures, "--json", "--out", str(sheet)])
    dark, bright = json.loads(capsys.readouterr().out)
    assert (dark["picture"], dark["caption"], bright["caption"]) == (pictures[0], "a dark night", "a bright day")
    assert 0.5 < dark["token_probability"] < 1
    assert Image.open(sheet).size[0] == 2 * 40 + 2 * 184 + 24


def test_a_broken_picture_does_not_stop_the_others(captioner, pictures, tmp_path, capsys):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    main(["caption", str(captioner), str(broken), pictures[1], "--beams", "1"])
    shown = capsys.readouterr()
    assert "a bright day" in shown.out
    assert "broken.png cannot be read" in shown.err
    with pytest.raises(SystemExit):
        main(["caption", str(captioner), str(broken)])
    assert "none of the pictures can be read" in capsys.readouterr().err


def test_pictures_of_a_data_set_stand_beside_their_own_texts(captioner, tmp_path, capsys):
    write_shapes(tmp_path / "shapes")
    main(["caption", str(captioner), "--data", str(tmp_path / "shapes"), "--split", "train", "-n", "2", "--beams", "1",
          "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert len(shown) == 2
    assert all(row["texts"] and row["caption"] for row in shown)


def test_what_cannot_be_captioned_is_refused_in_one_line(captioner, pictures, tmp_path, capsys):
    make("ngram").save_pretrained(tmp_path / "ngrams")
    assert "predicts ngram and says no captions" in refused(capsys, tmp_path / "ngrams", *pictures)
    assert "give pictures to caption, or --data" in refused(capsys, captioner)
    assert "not both" in refused(capsys, captioner, *pictures, "--data", "emoji")
    assert "no trained model" in refused(capsys, tmp_path, *pictures)
    assert "is no PNG" in refused(capsys, captioner, *pictures, "--out", tmp_path / "sheet.jpg")
    assert "beams is 0" in refused(capsys, captioner, *pictures, "--beams", "0")
    assert "n is 0" in refused(capsys, captioner, "--data", tmp_path, "-n", "0")
