"""Pairs that are no true negatives: found as one would by looking at every pair, and left out of the loss."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import write_shapes
from vector_universe import load_dataset, train
from vector_universe.errors import UserError
from vector_universe.losses import InfoNCE
from vector_universe.losses.ring import Ring
from vector_universe.training import TrainConfig
from vector_universe.training.false_negatives import LabelMask, families, text_numbers
from vector_universe.training.tasks.pairs import Pairs

LABELS = st.lists(st.lists(st.sampled_from("abc"), max_size=3, unique=True), min_size=1, max_size=12)


@given(LABELS, st.data(), st.sampled_from(["same_labels", "any_label"]))
def test_the_pairs_left_out_are_those_that_share_labels_and_are_no_positives(labels, data, leave_out):
    rows = data.draw(st.lists(st.integers(0, len(labels) - 1), min_size=1, max_size=12))
    groups = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    found = LabelMask(labels, leave_out).pairs(rows, torch.tensor(groups), Ring())
    expected = set()
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            a, b = set(labels[one]), set(labels[other])
            shared = bool(a) and a == b if leave_out == "same_labels" else bool(a & b)
            if shared and groups[i] != groups[j]:
                expected.add((i, j))
    assert {tuple(pair) for pair in found.tolist()} == expected
    assert len(found) == len(expected)


def test_texts_of_copies_are_one_text_and_captions_of_one_image_are_not():
    numbers = text_numbers([["a", "b"], ["c"], ["d"], ["c", "e"], ["f", "g"]], [0, 1, 0, 3, 4])
    assert numbers["a"] == numbers["b"] == numbers["d"]  # images 0 and 2 are copies
    assert len({numbers[text] for text in "acefg"}) == 5


def test_families_join_copies_and_equal_texts_and_follow_the_labels_of_the_first():
    found = families([["x"], ["y"], ["x"], ["z"], ["w"], ["v"]], [["cat"], ["dog"], ["dog"], ["dog"], [], []],
                     [0, 1, 2, 1, 4, 5])
    assert found[0] == found[2]  # one text
    assert found[1] == found[3]  # one image
    assert found[0][0] != found[1][0]
    assert len({label for label, _ in found[4:]}) == 2  # without labels there is nothing in common


def test_a_pair_left_out_neither_pulls_nor_pushes():
    """The loss with a mask is that of the logits with these places at minus infinity."""
    torch.manual_seed(0)
    images, texts = (torch.nn.functional.normalize(torch.randn(6, 5, dtype=torch.float64), dim=1) for _ in range(2))
    scale = torch.tensor(math.log(7.0), dtype=torch.float64)
    mask = LabelMask([["a"], ["b"], ["a"], ["b"], [], ["a", "b"]], "any_label")
    groups = torch.arange(6)
    pairs = mask.pairs(range(6), groups, Ring())
    assert len(pairs) == 2 + 2 + 8
    logits = images @ texts.T * scale.exp()
    logits[pairs[:, 0], pairs[:, 1]] = -math.inf
    expected = (torch.nn.functional.cross_entropy(logits, groups)
                + torch.nn.functional.cross_entropy(logits.T, groups)) / 2
    loss = InfoNCE()(images, texts, scale, groups, groups, false_negatives_K2=pairs)
    assert loss.total.item() == pytest.approx(expected.item(), abs=1e-12)


def test_only_info_nce_leaves_pairs_out():
    with pytest.raises(UserError, match="leave_out is any_label: only the objective info_nce leaves pairs out"):
        TrainConfig(objective="sigmoid", leave_out="any_label").check()


@pytest.fixture
def shapes_with_copies(tmp_path):
    """The shapes, and the first three of them once more under other names and titles."""
    folder = write_shapes(tmp_path / "shapes")
    lines = (folder / "metadata.csv").read_text().splitlines()
    for line in lines[1:4]:
        name, title, labels = line.split(",")
        (folder / "images" / f"copy-{name}").write_bytes((folder / "images" / name).read_bytes())
        lines.append(f"copy-{name},again a {title},{labels}")
    table = ["file_name,title,labels,split", *(f"{line},train" for line in lines[1:])]
    (folder / "metadata.csv").write_text("\n".join(table))
    return load_dataset(folder)


@pytest.mark.parametrize(("duplicates", "positives"), [("identical", 63 + 2 * 3), ("off", 63)])
def test_texts_of_copies_are_right_for_each_other(shapes_with_copies, tmp_path, capsys, monkeypatch, duplicates,
                                                  positives):
    forward, seen = InfoNCE.forward, []

    def watched(self, images, texts, scale, image_groups, text_groups, *rest, **named):
        seen.append(int((image_groups[:, None] == text_groups).sum()))
        return forward(self, images, texts, scale, image_groups, text_groups, *rest, **named)

    monkeypatch.setattr(InfoNCE, "forward", watched)
    train(shapes_with_copies, TrainConfig(embedding_width=16, epochs=1, precision="fp32", duplicates=duplicates),
          tmp_path / "run")
    assert set(seen) == {positives}
    assert ("3 of 63 images are copies of others" in capsys.readouterr().err) == (duplicates == "identical")


def test_batches_kept_apart_say_so_and_hold_no_copies(shapes_with_copies, tmp_path, capsys, monkeypatch):
    batch, seen = Pairs.batch, []

    def watched(self, epoch, rows, first=0):
        seen.append(list(rows))
        return batch(self, epoch, rows, first)

    monkeypatch.setattr(Pairs, "batch", watched)
    train(shapes_with_copies, TrainConfig(embedding_width=16, epochs=3, batch_size=20, precision="fp32",
                                          batches="apart"), tmp_path / "run")
    assert len(seen) == 9
    assert not any({row, 60 + row} <= set(rows) for rows in seen for row in range(3))
    assert "batches are kept apart: " in capsys.readouterr().err


def test_leaving_out_by_labels_needs_labels(tmp_path):
    folder = write_shapes(tmp_path / "shapes")
    table = folder / "metadata.csv"
    table.write_text("file_name,title\n" + "\n".join(
        ",".join(line.split(",")[:2]) for line in table.read_text().splitlines()[1:]) + "\n")
    with pytest.raises(UserError, match="leave_out needs labels, and no training picture has any"):
        train(load_dataset(folder), TrainConfig(epochs=1, leave_out="same_labels"), tmp_path / "run", quiet=True)
