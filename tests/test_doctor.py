"""`vu data check` finds every planted fault and no other, and nothing in sound data."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from tests.pictures import write_table
from tests.planted import clean, clean_examples, encoded, picture, planted
from vector_universe import UserError
from vector_universe.cli import main
from vector_universe.data import Example, ImageTextDataset
from vector_universe.data.doctor import check_data
from vector_universe.data.doctor.kinds import KINDS


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Report, what it should say, and its folder."""
    folder = tmp_path_factory.mktemp("planted")
    dataset, expected = planted(folder)
    return check_data(dataset, folder / "report", quiet=True), expected, folder / "report"


def found(report):
    return {finding.kind: {case.file for case in finding.cases} for finding in report.findings if finding.cases}


def test_every_planted_fault_is_found_and_no_other(checked):
    report, expected, _ = checked
    assert found(report) == expected
    assert report.exit_code == 1
    figures = {"false_negatives", "languages"}
    empty = {"split_empty", "split_without_training"}  # tested by themselves: a data set cannot have them and the rest
    assert set(KINDS) == set(expected) | figures | empty


def test_each_case_says_what_and_where(checked):
    report, _, _ = checked
    cases = {(finding.kind, case.file): case for finding in report.findings for case in finding.cases}
    modes = {"cmyk": "CMYK", "palette": "palette", "deep": "16-bit", "transparent": "transparency",
             "animated": "animated", "rotated": "EXIF-rotated"}
    assert all(mode in cases["image_mode", file].detail for file, mode in modes.items())
    leaked = cases["image_identical_across_splits", "leaked"]
    assert (leaked.split, leaked.partner_file, leaked.partner_split) == ("test", "clean0", "train")
    assert cases["image_too_large", "bomb"].detail.startswith("too large (")
    assert cases["text_mojibake", "mojibake"].detail.endswith("meant as “ein Stück Käse”")
    assert cases["image_missing", "lost.jpg"].row == 5
    assert cases["image_mended", "without its end"].detail == "the file lacks its end, but every row is there"
    assert cases["image_unreadable", "unreadable"].detail == "not an image: plain text"


def test_the_verdict_names_the_worst_first(checked):
    report, _, _ = checked
    assert report.verdict.startswith("1 test image also occurs in train: load the data with --group-duplicates")
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities, key=["error", "warning", "information"].index)


def test_the_files_hold_every_case(checked):
    _, expected, folder = checked
    written = json.loads((folder / "report.json").read_text())
    assert written["exit_code"] == 1
    assert {finding["kind"]: {case["file"] for case in finding["cases"]} for finding in written["findings"]
            if finding["cases"]} == expected
    assert all(finding["severity"] in ("error", "warning", "information") and finding["way_out"]
               for finding in written["findings"])
    page = (folder / "report.html").read_text()
    assert all(f'<h2 id="{kind}">' in page for kind in expected)
    assert page.count("data:image/jpeg;base64,") > 20
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # it opens without a network
    assert page.index("also occurs in train") < page.index("<table")


def test_sound_data_has_no_finding_but_figures(tmp_path):
    report = check_data(clean(), tmp_path / "report", quiet=True)
    assert [finding.kind for finding in report.findings] == ["false_negatives", "languages"]
    assert report.exit_code == 0
    assert report.verdict == "Nothing was found that spoils training on these 30 images."
    assert report.languages == {"en": 30}


@pytest.mark.parametrize(("splits", "kinds"), [
    (("train", "test"), {"split_empty": {"validation"}}),
    (("validation", "test"), {"split_without_training": {"train"}})])
def test_empty_splits(splits, kinds):
    examples = [replace(example, split=splits[number % 2]) for number, example in enumerate(clean_examples())]
    report = check_data(ImageTextDataset.from_examples(examples, name="a", source="made"), quiet=True)
    assert found(report) == kinds


def test_texts_that_name_classes_are_no_leak():
    examples = [replace(example, texts=["a photo of a cat" if number % 3 else "a photo of a dog"])
                for number, example in enumerate(clean_examples())]
    report = check_data(ImageTextDataset.from_examples(examples, name="classes", source="made"), quiet=True)
    assert report.exit_code == 0
    assert set(found(report)) == {"text_identical"}


def test_a_caption_or_two_that_meet_by_chance_are_no_leak():
    """One of 120 held-out texts."""
    examples = [Example(f"{example.id} {copy}", encoded(picture(40 * copy + number)),
                        [f"{text} {number} {copy}" for text in ("one", "two", "three", "four")], [], example.split)
                for copy in range(5) for number, example in enumerate(clean_examples())]
    held_out = [example for example in examples if example.split != "train"]
    held_out[0].texts[0] = examples[0].texts[0]
    dataset = ImageTextDataset.from_examples(examples, name="captions", source="made")
    report = check_data(dataset, quiet=True)
    assert found(report) == {"text_identical_across_splits": {held_out[0].id}}
    assert report.exit_code == 0
    held_out[1].texts[0] = examples[0].texts[0]
    dataset = ImageTextDataset.from_examples(examples, name="captions", source="made")
    assert check_data(dataset, quiet=True).exit_code == 1


def test_texts_of_data_are_escaped(tmp_path):
    evil = "<script>alert(1)</script>"
    examples = [Example(f"{evil}{number}", encoded(picture(number)), [f"{evil} IMG_{number}.jpg"], [evil, "b"])
                for number in (0, 0, 1)]
    examples[1] = replace(examples[1], id="copy")
    check_data(ImageTextDataset.from_examples(examples, name=evil, source="made"), tmp_path / "out", quiet=True)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script" not in page


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures" / "images").mkdir(parents=True)
    for number in range(3):
        picture(number).save(tmp_path / "pictures" / "images" / f"{number}.png")
    rows = [(f"{number}.png", f"a view of number {number}", "") for number in range(3)]
    write_table(tmp_path / "pictures", rows)
    for _ in range(2):  # the second time over its own report
        with pytest.raises(SystemExit) as ended:
            main(["data", "check", "pictures"])
        assert ended.value.code == 0
    assert "Nothing was found" in capsys.readouterr().out
    assert (tmp_path / "check-pictures" / "report.html").is_file()
    write_table(tmp_path / "pictures", [*rows, ("3.png", "gone", "")])
    with pytest.raises(SystemExit) as ended:
        main(["data", "check", "pictures", "--json", "--out", "elsewhere"])
    assert ended.value.code == 1
    written = json.loads(capsys.readouterr().out)
    assert written == json.loads((tmp_path / "elsewhere" / "report.json").read_text())
    assert written["verdict"].startswith("1 image is missing:")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(UserError, match="holds something else than a check"):
        check_data(clean(), tmp_path, quiet=True)
    assert (tmp_path / "report.html").read_text() == "mine"


def test_settings_out_of_range_are_refused():
    with pytest.raises(UserError, match="--batch-size 2"):
        check_data(clean(), batch_size=1)


def test_a_file_that_a_decoder_stumbles_over_is_unreadable(monkeypatch):
    def stumble(*_, **__):
        raise RuntimeError("bug")
    dataset = ImageTextDataset.from_examples(clean_examples()[:3], name="a", source="made")
    monkeypatch.setattr("vector_universe.data.doctor.scan.decode_with_remark", stumble)
    assert found(check_data(dataset, quiet=True))["image_unreadable"] == {"clean0", "clean1", "clean2"}
