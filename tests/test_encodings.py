"""Text files in the encodings that people's programs write."""

from __future__ import annotations

import pytest

from vector_universe.data.sources.encoding import decode_text, find_encoding
from vector_universe.errors import UserError

SAMPLES = [
    ("cp949", "귀여운 고양이"), ("cp949", "서울 고양이의 하루"), ("cp949", "파란 동그라미\n빨간 네모\n노란 세모"),
    ("cp949", "가"), ("euc_kr", "귀여운 고양이"), ("cp932", "かわいい猫"), ("cp932", "東京の夜景"),
    ("cp932", "赤い丸\n青い四角\nカメラ"),
    ("euc_jp", "かわいい猫の動画"), ("gb18030", "可爱的猫"), ("gb18030", "红色圆圈\n蓝色方块"),
    ("big5", "可愛的貓"), ("big5", "紅色圓圈\n藍色方塊"), ("cp1252", "Café crème"),
    ("cp1252", "Größe über alles\nMädchen"),
    ("cp1252", "señor niño"), ("cp1252", "It’s “great” – really"), ("cp1251", "красный круг"),
    ("cp1251", "синий квадрат и кот"), ("cp1250", "żółta łódź"), ("cp1253", "κόκκινος κύκλος"),
    ("cp1254", "kırmızı şapka güzel"), ("mac_roman", "Café crème"), ("mac_roman", "Größe über"),
]


def read_text(path):
    """By what the whole file tells, and by its bytes at once: both alike."""
    text = path.read_bytes().decode(find_encoding(path).codec, "replace")
    assert decode_text(path.read_bytes(), "it") == text
    return text


def table(text: str) -> str:
    return "file_name,title\n" + "".join(f"a{n}.jpg,{line}\n" for n, line in enumerate(text.split("\n")))


@pytest.mark.parametrize(("encoding", "text"), SAMPLES)
def test_the_encoding_of_a_short_table_is_told_by_its_letters(tmp_path, encoding, text):
    path = tmp_path / "metadata.csv"
    path.write_bytes(table(text).encode(encoding))
    assert read_text(path) == table(text)
    assert "not UTF-8 but" in find_encoding(path).remark


@pytest.mark.parametrize(("encoding", "said"), [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16-LE without a mark"),
                                                ("utf-16-be", "UTF-16-BE without a mark"), ("utf-32", "UTF-32")])
def test_wide_encodings_are_read(tmp_path, encoding, said):
    path = tmp_path / "metadata.csv"
    path.write_bytes(table("귀여운 고양이").encode(encoding))
    assert read_text(path) == table("귀여운 고양이")
    assert said in find_encoding(path).remark


@pytest.mark.parametrize("text", ["plain", "Größe", "귀여운", "🐈"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_utf8_needs_no_remark(tmp_path, text, mark):
    path = tmp_path / "metadata.csv"
    path.write_bytes(mark + table(text).encode())
    assert find_encoding(path).remark == ""
    assert read_text(path) == table(text)


def test_a_cut_letter_leaves_the_file_utf8(tmp_path):
    path = tmp_path / "metadata.csv"
    path.write_bytes(table("고양이").encode()[:-2] + b"\n" + "b.jpg,파란 동그라미\n".encode())
    assert "broken letters" in find_encoding(path).remark
    assert read_text(path).endswith("파란 동그라미\n")
    assert "고양\ufffd" in read_text(path)


def test_a_letter_cut_by_the_end_of_the_file_or_of_a_chunk(tmp_path, monkeypatch):
    path = tmp_path / "metadata.csv"
    path.write_bytes(table("고양이").encode()[:-2])
    assert "broken letters" in find_encoding(path).remark
    assert read_text(path).endswith("고양\ufffd")
    monkeypatch.setattr("vector_universe.data.sources.encoding.CHUNK", 7)
    path.write_bytes(table("고양이가 잔다, été").encode())
    assert find_encoding(path).remark == ""


def test_what_no_letters_tell_is_refused(tmp_path):
    path = tmp_path / "metadata.csv"
    path.write_bytes(b"file_name,title\na.jpg," + bytes(range(0x80, 0x9F)) * 3)
    with pytest.raises(UserError, match=r"metadata\.csv is not UTF-8, and its letters do not tell"):
        find_encoding(path)
