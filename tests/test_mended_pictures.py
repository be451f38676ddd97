"""Damaged pictures that are whole enough are used with a remark; no picture that lacks a real part is called whole."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.broken_pictures import encoded
from vector_universe import load_dataset
from vector_universe.data import ImageError, decode_image, images, mended_jpeg
from vector_universe.data.doctor.scan import look_closely
from vector_universe.data.images import FileSlice, decode_with_remark, open_image
from vector_universe.data.sources.places import HEADER_BYTES, check_header


def photograph(height: int = 320, width: int = 72) -> Image.Image:
    """Smooth colours with a little noise on them."""
    random = np.random.default_rng(3)
    cells = Image.fromarray(random.integers(0, 256, (height // 16, width // 12, 3), np.uint8))
    smooth = np.asarray(cells.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return Image.fromarray((smooth + random.normal(0, 6, smooth.shape)).clip(0, 255).astype(np.uint8))


def banded(top: int, bottom: int, grey: int) -> Image.Image:
    picture = photograph()
    picture.paste((grey,) * 3, (0, top, picture.width, bottom))
    return picture


def jpeg(picture: Image.Image, **options: object) -> bytes:
    return encoded(picture, "JPEG", **options)


JPEGS = {
    "baseline": jpeg(photograph()),
    "of full colour": jpeg(photograph(), subsampling=0),
    "progressive": jpeg(photograph(), progressive=True),
    "grey": jpeg(photograph().convert("L")),
    "grey progressive": jpeg(photograph().convert("L"), progressive=True),
    "cmyk": jpeg(photograph().convert("CMYK")),
    "black bottom": jpeg(banded(240, 320, 0)),
    "black bottom progressive": jpeg(banded(240, 320, 0), progressive=True),
    "grey bottom": jpeg(banded(240, 320, 128), optimize=True),  # the grey of what a decoder cannot read
    "black band above the bottom": jpeg(banded(200, 290, 0), optimize=True),
    "black band above the bottom progressive": jpeg(banded(200, 290, 0), progressive=True),
    "black": jpeg(Image.new("RGB", (72, 320))),
    "restarts": jpeg(photograph(), restart_marker_rows=1),
    "restarts progressive": jpeg(photograph(), restart_marker_blocks=3, progressive=True),
}


def cuts(whole: bytes) -> list[int]:
    """How many bytes are cut off: each of the last few, then ever more, to the header."""
    return sorted({*range(1, 9), *(int(len(whole) * share ** 3) + 9 for share in np.linspace(0.05, 0.98, 50))})


@pytest.mark.parametrize("kind", JPEGS)
def test_a_cut_jpeg_is_truncated_or_nearly_the_whole_one(kind):
    wanted = np.asarray(decode_image(JPEGS[kind]))
    used = []
    for cut in cuts(JPEGS[kind]):
        try:
            picture, remark = decode_with_remark(JPEGS[kind][:-cut])
        except ImageError:
            continue
        used.append(cut)
        different = (np.asarray(picture) != wanted).any((1, 2))
        first = int(different.argmax()) if different.any() else len(wanted)
        assert len(wanted) - first <= len(wanted) / 16, f"{cut} bytes cut off"
        assert remark.startswith("the file lacks its end") or first == len(wanted)  # few need no end to be decoded
    assert used[:2] == [1, 2]  # the end marker alone
    assert len(used) < len(cuts(JPEGS[kind]))


@pytest.mark.parametrize("kind", ["baseline", "progressive", "grey", "cmyk", "restarts"])
def test_a_jpeg_without_its_last_bytes_says_how_many_rows_it_lacks(kind):
    picture, remark = decode_with_remark(JPEGS[kind][:-12])
    wanted = np.asarray(decode_image(JPEGS[kind]))
    rows = int(remark.removeprefix("the file lacks its end: the last ").split()[0])
    assert 0 < rows <= 20
    assert np.array_equal(np.asarray(picture)[:-rows], wanted[:-rows])


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_end_marker_is_the_whole_picture(kind, tmp_path):
    (tmp_path / "x.jpg").write_bytes(JPEGS[kind][:-2])
    for source in (JPEGS[kind][:-2], tmp_path / "x.jpg", FileSlice(str(tmp_path / "x.jpg"), 0, len(JPEGS[kind]) - 2)):
        assert decode_image(source).tobytes() == decode_image(JPEGS[kind]).tobytes()
        assert decode_image(source, 16).tobytes() == decode_image(JPEGS[kind], 16).tobytes()
        if "progressive" in kind:  # others can be decoded in rare cases as if nothing were missing
            assert decode_with_remark(source)[1] == "the file lacks its end, but every row is there"


def test_a_progressive_jpeg_that_lacks_a_scan_is_truncated():
    """Every row is there, but coarser than it was."""
    whole = JPEGS["progressive"]
    scans = [place for place in range(len(whole)) if whole.startswith(b"\xff\xda", place)]
    assert len(scans) == 10
    for place in scans[1:]:
        with pytest.raises(ImageError, match="truncated"):
            decode_image(whole[:place])


def test_a_jpeg_that_ends_within_a_comment_behind_its_pixels():
    assert "every row" in decode_with_remark(JPEGS["progressive"][:-2] + b"\xff\xfe\x00\x20cut off")[1]


def test_turned_photographs_are_mended_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = jpeg(photograph(), exif=exif)
    assert decode_image(whole[:-2]).size == (320, 72)
    assert decode_image(whole[:-2]).tobytes() == decode_image(whole).tobytes()


def test_sound_pictures_are_not_mended(monkeypatch):
    def mend(_: bytes) -> None:
        raise AssertionError("a sound picture was mended")

    monkeypatch.setattr(images, "mended_jpeg", mend)
    monkeypatch.setattr(images, "mended_png", mend)
    for content in (*JPEGS.values(), encoded(photograph())):
        assert decode_image(content).size == (72, 320)


# ---- PNG ----

TEXT = b"tEXt", b"Comment\0made by hand"


def chunk(name: bytes, body: bytes, spoil: int = 0) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) ^ spoil)


def png_with(before: bytes = b"", after: bytes = b"", picture: Image.Image | None = None) -> bytes:
    """A PNG with more chunks before and after its pixels."""
    whole = encoded(picture or photograph(48, 36))
    place = whole.index(b"IDAT") - 4
    return whole[:place] + before + whole[place:-12] + after + whole[-12:]


DAMAGED_TEXT = chunk(*TEXT, spoil=1)


@pytest.mark.parametrize(("content", "names"), [
    (png_with(before=DAMAGED_TEXT), "chunk tEXt"),
    (png_with(after=DAMAGED_TEXT), "chunk tEXt"),
    (png_with(before=DAMAGED_TEXT, after=chunk(b"tIME", bytes(7), 1)), "chunks tEXt, tIME"),
    (png_with(before=chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff", 1)), "chunk eXIf"),
    (png_with(before=chunk(b"iCCP", b"x\0\7zz", 1)), "chunk iCCP"),
    (png_with(after=chunk(b"iCCP", b"x\0\7zz", 1)), "chunk iCCP"),
    (png_with(after=chunk(*TEXT))[:-20], "chunk tEXt")])
def test_a_png_is_used_without_its_damaged_chunks(content, names, tmp_path):
    wanted = decode_image(encoded(photograph(48, 36)))
    (tmp_path / "x.png").write_bytes(b"before" + content + b"after")
    for source in (content, FileSlice(str(tmp_path / "x.png"), 6, len(content))):
        picture, remark = decode_with_remark(source)
        assert remark == f"without its damaged {names}"
        assert picture.tobytes() == wanted.tobytes()
        assert decode_image(source).tobytes() == wanted.tobytes()
        with open_image(source) as header:
            assert header.size == (36, 48)


def test_a_sound_png_has_no_remark():
    assert decode_with_remark(png_with(chunk(*TEXT), chunk(*TEXT)))[1] == ""


@pytest.mark.parametrize("damaged", [
    png_with(before=chunk(b"tRNS", bytes(6), 1)),  # it decides what is seen
    png_with(before=chunk(b"CRIT", b"?", 1) + DAMAGED_TEXT),
    encoded(photograph(48, 36))[:29] + b"\0\0\0\0" + encoded(photograph(48, 36))[33:]])  # the header's checksum
def test_chunks_that_make_the_picture_are_never_left_out(damaged):
    with pytest.raises(ImageError):
        decode_image(damaged)


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_png_that_lacks_pixels_is_truncated_in_spite_of_a_damaged_text(place):
    content = png_with(**{place: DAMAGED_TEXT})
    with pytest.raises(ImageError, match="truncated"):
        decode_image(content[:len(content) // 2])


def test_of_a_damaged_animation_the_first_picture_is_left():
    frames = [photograph(48, 36), photograph(48, 36).rotate(180)]
    whole = encoded(frames[0], save_all=True, append_images=frames[1:])
    place = whole.index(b"fcTL") + 4 + 26  # the checksum of the first frame's description
    damaged = whole[:place] + b"\0\0\0\0" + whole[place + 4:]
    picture, remark = decode_with_remark(damaged)
    assert picture.tobytes() == decode_image(whole).tobytes()
    assert remark == "without its damaged chunk fcTL"
    with open_image(damaged) as image:
        assert image.n_frames == 1


@pytest.mark.parametrize("body", [b"short", bytes(2 * HEADER_BYTES)])
def test_the_header_of_a_slice_whose_damaged_chunk_comes_first(body, tmp_path):
    """A slice is looked at by its beginning, which may end within the damaged chunk or within the pixels."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8))
    content = png_with(before=chunk(b"prVt", body, 1), picture=noise)
    assert len(content) > HEADER_BYTES
    (tmp_path / "x.tar").write_bytes(b"before" + content)
    check_header(FileSlice(str(tmp_path / "x.tar"), 6, len(content)))
    with pytest.raises(ImageError, match="not an image"):
        check_header(FileSlice(str(tmp_path / "x.tar"), 5, len(content)))


# ---- what holds for both ----

@pytest.mark.parametrize("content", [JPEGS["baseline"][:-2], png_with(before=DAMAGED_TEXT),
                                     png_with(after=chunk(*TEXT))[:-20]])
def test_limits_hold_for_damaged_pictures(content, monkeypatch, tmp_path):
    with open_image(content) as image:
        width, height = image.size
    (tmp_path / "x").write_bytes(content)
    for name, limit in (("MAX_BYTES", len(content) - 1), ("MAX_PIXELS", width * height - 1), ("MAX_SIDE", height - 1)):
        with monkeypatch.context() as change:
            change.setattr(images, name, limit)
            for source in (content, tmp_path / "x"):
                with pytest.raises(ImageError, match="too large"):
                    decode_image(source)


def test_a_bomb_behind_a_damaged_chunk_is_refused_from_its_header():
    header = struct.pack(">IIBBBBB", 15_000, 15_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + DAMAGED_TEXT + chunk(b"IDAT", zlib.compress(bytes(99)))
    with pytest.raises(ImageError, match=r"too large \(225,000,000 pixels"):
        decode_image(bomb)


def test_a_jpeg_of_very_many_scans_is_not_looked_through(monkeypatch):
    assert mended_jpeg.mended_jpeg(JPEGS["progressive"][:-2])
    monkeypatch.setattr(mended_jpeg, "_MOST_SCANS", 5)  # it has ten
    assert mended_jpeg.mended_jpeg(JPEGS["progressive"][:-2]) is None


def test_the_doctor_shows_what_was_mended(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(JPEGS["progressive"][:-2])
    (tmp_path / "images" / "b.png").write_bytes(png_with(after=DAMAGED_TEXT))
    (tmp_path / "images" / "c.jpg").write_bytes(JPEGS["progressive"])
    (tmp_path / "metadata.csv").write_text("file_name,title\na.jpg,one\nb.png,two\nc.jpg,three\n")
    dataset = load_dataset(tmp_path)
    assert [look_closely(example.image).remark for example in dataset] == [
        "the file lacks its end, but every row is there", "without its damaged chunk tEXt", ""]
