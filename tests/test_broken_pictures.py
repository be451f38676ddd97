"""No file ends a run: what cannot be read is listed once, with its reason, and the rest is there in order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.broken_pictures import BROKEN, NOISE, encoded, write_broken
from vector_universe import load_dataset
from vector_universe.data import Example, Framing, ImageError, decode_image, read_pixels
from vector_universe.data.frame_store import FrameStore
from vector_universe.data.images import open_image

# As a program without pytest hears it: pytest sets aside what `data.images` asks of `warnings`.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
KINDS = {
    "jpeg": encoded(NOISE, "JPEG"),
    "progressive jpeg": encoded(NOISE, "JPEG", progressive=True),
    "cmyk jpeg": encoded(NOISE.convert("CMYK"), "JPEG"),
    "jpeg with exif": encoded(NOISE, "JPEG", exif=EXIF),
    "png": encoded(NOISE),
    "palette png": encoded(NOISE.quantize(16), transparency=3),
    "webp": encoded(NOISE, "WEBP"),
    "lossless webp": encoded(NOISE.convert("RGBA"), "WEBP", lossless=True),
    "gif": encoded(NOISE, "GIF"),
    "animated gif": encoded(NOISE, "GIF", save_all=True, append_images=[NOISE.rotate(9)]),
    "avif": encoded(NOISE, "AVIF"),
    "bmp": encoded(NOISE, "BMP"),
    "tiff": encoded(NOISE, "TIFF"),
    "lzw tiff": encoded(NOISE, "TIFF", compression="tiff_lzw"),
    "jpeg tiff": encoded(NOISE, "TIFF", compression="jpeg"),
    "float tiff": encoded(NOISE.convert("F"), "TIFF"),
    "ppm": encoded(NOISE, "PPM"),
    "jpeg 2000": encoded(NOISE, "JPEG2000"),
}


def damage(whole: bytes, random: np.random.Generator) -> bytes:
    """Bytes changed, left out, doubled, zeroed, or the end cut off; headers are hit more often than their share."""
    content = bytearray(whole)
    for _ in range(int(random.integers(1, 5))):
        if not content:
            break
        reach = len(content) if random.random() < 0.5 else min(len(content), 64)
        place, length = int(random.integers(reach)), int(random.integers(1, 9))
        way = random.integers(6)
        if way < 2:
            content[place] = int(random.integers(256))
        elif way == 2:
            content[place:place + length] = bytes([0, 255][int(random.integers(2))] for _ in range(length))
        elif way == 3:
            del content[place:place + length]
        elif way == 4:
            content[place:place] = content[place:place + length]
        else:
            del content[int(random.integers(len(content))):]
    return bytes(content)


def assert_a_picture_or_a_reason(kind: str, times: int) -> None:
    random = np.random.default_rng(7)
    reasons = []
    for _ in range(times):
        try:
            found = Framing(16, "crop").pixels(damage(KINDS[kind], random))
        except ImageError as error:
            reasons.append(str(error))
        else:
            assert found.shape == (16, 16, 3)
            assert found.dtype == np.uint8
    assert reasons
    assert all(0 < len(reason) < 150 and "\n" not in reason for reason in reasons)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_pictures_are_a_picture_or_a_reason(kind):
    assert Framing(16).pixels(KINDS[kind]).shape == (16, 16, 3)
    assert_a_picture_or_a_reason(kind, 40)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_damaged_pictures_are_a_picture_or_a_reason(kind):
    assert_a_picture_or_a_reason(kind, 5000)


def test_damage_says_nothing_on_stderr_and_leaves_warnings_as_they_were():
    code = """if True:
        import numpy as np, warnings
        from tests.test_broken_pictures import KINDS, damage
        from vector_universe.data import Example, read_pixels
        random = np.random.default_rng(3)
        before = list(warnings.filters)
        examples = [Example(str(i), damage(content, random), [], []) for i in range(20)
                    for kind, content in KINDS.items() if 'tiff' not in kind]  # libtiff itself writes to stderr
        print(len(read_pixels(examples, 8).array) > 0, warnings.filters == before)
        warnings.warn("still heard")"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True"]
    assert done.stderr.strip().splitlines()[0].endswith("still heard")


@pytest.mark.parametrize("way", BROKEN)
def test_each_way_has_its_reason(way, tmp_path):
    write_broken(tmp_path / "x.png", way)
    with pytest.raises(ImageError, match=BROKEN[way][1]):
        decode_image(tmp_path / "x.png")


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "a\0b.png", "loop.png", "pipe.png"])
def test_names_that_are_no_file(name, tmp_path):
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="file not found"):
        open_image(str(tmp_path / name))


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "x.png").write_bytes(encoded(NOISE))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", refuse)
    with pytest.raises(ImageError, match=r"Permission denied"):
        open_image(tmp_path / "x.png")


def write_files(folder: Path, count: int, broken: int) -> dict[str, str]:
    """`images/` of `count` files with their table, `broken` of them in twelve ways, spread out: name → way."""
    (folder / "images").mkdir(parents=True)
    whole = [encoded(NOISE.rotate(20 * turn), format) for turn in range(4) for format in ("JPEG", "PNG", "WEBP")]
    sources = []
    for number, content in enumerate(whole):
        sources.append(folder / f"source-{number}")
        sources[-1].write_bytes(content)
    ways = {f"{count * number // broken + 3:06}.jpg": list(BROKEN)[number % len(BROKEN)] for number in range(broken)}
    with (folder / "metadata.csv").open("w", encoding="utf-8") as table:
        table.write("file_name,title\n")
        for number in range(count):
            name = f"{number:06}.jpg"
            table.write(f"{name},picture {number}\n")
            if name in ways:
                write_broken(folder / "images" / name, ways[name])
            else:
                os.link(sources[number % len(sources)], folder / "images" / name)
    return ways


def assert_every_broken_file_is_listed_once(tmp_path: Path, count: int, broken: int) -> None:
    ways = write_files(tmp_path / "set", count, broken)
    dataset = load_dataset(tmp_path / "set")
    with FrameStore.build(list(dataset), Framing(16, "crop"), tmp_path / "frames", 10**9) as store:
        listed = [*dataset.skipped, *store.skipped]
        assert sorted(row.file for row in listed) == sorted(ways)
        for row in listed:
            assert re.search(BROKEN[ways[row.file]][1], row.reason), row
        good = [f"{number:06}.jpg" for number in range(count) if f"{number:06}.jpg" not in ways]
        assert [example.id for example in store.examples] == good
        assert len(store.frames(range(len(good)))) == len(good)


def test_a_tenth_broken_in_twelve_ways(tmp_path):
    assert_every_broken_file_is_listed_once(tmp_path, 1200, 120)


@pytest.mark.slow
def test_a_hundred_thousand_files_with_a_hundredth_broken(tmp_path):
    assert_every_broken_file_is_listed_once(tmp_path, 100_000, 1000)


def test_all_broken_is_no_error(tmp_path):
    for number, way in enumerate(BROKEN):
        write_broken(tmp_path / f"{number}.png", way)
    examples = [Example(str(number), tmp_path / f"{number}.png", [], []) for number in range(len(BROKEN))]
    pixels = read_pixels(examples, 8)
    assert pixels.array.shape == (0, 8, 8, 3)
    assert [row.file for row in pixels.skipped] == [example.id for example in examples]
