"""Splits that keep together what belongs together."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pictures import shape, write_table
from vector_universe import UserError, load_dataset
from vector_universe.cli.data import flags
from vector_universe.data import LoadOptions
from vector_universe.data.splits import SPLITS, split_of, splits_of_groups

rows = st.lists(st.tuples(st.sampled_from(SPLITS), st.one_of(st.none(), st.sampled_from("abc")), st.integers(0, 8)),
                max_size=25)


@pytest.mark.parametrize(("split", "ids"), [
    ("train", ["183.jpg", "364.jpg", "5.jpg", "292.jpg"]),  # of the hundred buckets 0, 0, 79, 79
    ("validation", ["89.jpg", "193.jpg", "16.jpg", "179.jpg"]),  # 80, 80, 89, 89
    ("test", ["94.jpg", "438.jpg", "40.jpg", "86.jpg"]),  # 90, 90, 99, 99
    ("train", ["", "a", "A", "0", "cat.jpg", "images/0001.png", "1f600", "고양이.webp", "item-1", "🐈"]),
    ("validation", ["https://example.com/a?b=1"]),
    ("test", ["Crème brûlée"])])
def test_an_id_stays_in_its_split_for_ever(split, ids):
    """A change would move pictures that models have trained on into everybody's test split."""
    assert [split_of(id) for id in ids] == [split] * len(ids)


@given(rows)
def test_a_group_lies_on_one_side(rows):
    splits, values, copies = ([row[part] for row in rows] for part in range(3))
    assigned = splits_of_groups(splits, values, copies)
    for key in (values, copies):
        sides = defaultdict(set)
        for place, split in zip(key, assigned, strict=True):
            sides[place].add(split)
        assert all(len(several) == 1 for place, several in sides.items() if place is not None)


@given(rows, st.randoms())
def test_the_order_of_the_rows_changes_nothing(rows, random):
    order = list(range(len(rows)))
    random.shuffle(order)
    one = splits_of_groups(*([row[part] for row in rows] for part in range(3)))
    other = splits_of_groups(*([rows[place][part] for place in order] for part in range(3)))
    assert [one[place] for place in order] == other


@given(st.lists(st.tuples(st.sampled_from(SPLITS), st.integers(0, 8)), max_size=25))
def test_copies_go_where_the_most_held_out_of_them_is(rows):
    splits, copies = [split for split, _ in rows], [copy for _, copy in rows]
    for (split, copy), new in zip(rows, splits_of_groups(splits, [None] * len(rows), copies), strict=True):
        sides = {other for other, its in rows if its == copy}
        assert new == next(side for side in reversed(SPLITS) if side in sides)
        assert SPLITS.index(new) >= SPLITS.index(split)


def test_own_splits_that_keep_groups_whole_stay():
    splits = ["train", "test", "train", "validation"]
    assert splits_of_groups(splits, ["a", "b", "a", None], [0, 1, 2, 3]) == splits
    assert splits_of_groups([*splits, "test"], ["a", "b", "a", None, "a"], [0, 1, 2, 3, 4]) == [
        split_of("a"), split_of("b"), split_of("a"), "validation", split_of("a")]


@pytest.fixture
def channels(tmp_path):
    """Forty pictures of eight channels, the last of them a copy of the first."""
    (tmp_path / "images").mkdir()
    lines = ["file_name,title,channel"]
    for number in range(40):
        shape(("red", "green", "blue")[number % 3], ("circle", "square")[number % 2], "small").resize(
            (60 + number, 60)).save(tmp_path / "images" / f"{number}.png")
        lines.append(f"{number}.png,title {number},channel {number % 8}")
    (tmp_path / "images" / "39.png").write_bytes((tmp_path / "images" / "0.png").read_bytes())
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    return tmp_path


def test_a_channel_is_never_in_two_splits(channels):
    with pytest.warns(UserWarning, match=r"of 40 images .* moved to another split, to keep equal channel on one side"):
        dataset = load_dataset(channels, LoadOptions(group="channel"))
    sides = defaultdict(set)
    for example in dataset:
        sides[example.metadata["channel"]].add(example.split)
    assert {channel: {split_of(channel)} for channel in sides} == sides
    assert dataset.fingerprint != load_dataset(channels).fingerprint


def test_a_column_that_is_not_there_is_named_with_those_that_are(channels, tmp_path):
    with pytest.raises(UserError, match=r"has no column product to group by: it has channel$"):
        load_dataset(channels, LoadOptions(group="product"))


def test_copies_are_kept_in_the_test_split(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        shape("red" if name != "c.png" else "blue", "circle", "large").save(tmp_path / "images" / name)
    write_table(tmp_path, [("a.png", "one", ""), ("b.png", "two", ""), ("c.png", "three", "")])
    text = (tmp_path / "metadata.csv").read_text().splitlines()
    (tmp_path / "metadata.csv").write_text("\n".join(
        [text[0] + ",split", text[1] + ",train", text[2] + ",test", text[3] + ",train"]))
    assert [example.split for example in load_dataset(tmp_path)] == ["train", "test", "train"]
    seen = []
    with pytest.warns(UserWarning, match="1 of 3 images .* moved to another split, to keep copies on one side"):
        kept = load_dataset(tmp_path, LoadOptions(group_duplicates=True), lambda *progress: seen.append(progress))
    assert seen[-3:] == [(1, 3), (2, 3), (3, 3)]
    assert [example.split for example in kept] == ["test", "test", "train"]


def test_the_next_command_reads_the_data_in_the_same_way():
    assert flags(LoadOptions()) == ""
    assert flags(LoadOptions(group_duplicates=True, group="sold by", text_columns=("title", "caption"))) == (
        " --text-columns title caption --group 'sold by' --group-duplicates")
