"""One decoder: every kind of picture becomes upright RGB on white, and every broken one a reason."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vector_universe.data import Example, ImageError, decode_image, read_pixels
from vector_universe.data.framing import square
from vector_universe.data.images import MAX_PIXELS, open_image

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encoded(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def noise(side=64):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))


def png_header(width, height):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def near(found, wanted, distance=3):
    return all(abs(a - b) <= distance for a, b in zip(found, wanted, strict=True))


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (4, 1), (*RED, 255))
    image.putpixel((0, 0), (*RED, 0))
    image.putpixel((1, 0), (*RED, 128))
    found = decode_image(encoded(image))
    assert found.mode == "RGB"
    assert [found.getpixel((x, 0)) for x in (0, 3)] == [WHITE, RED]
    assert near(found.getpixel((1, 0)), (255, 127, 127))


@pytest.mark.parametrize("transparent", [False, True])
def test_palette(transparent):
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    found = decode_image(encoded(image, transparency=0) if transparent else encoded(image))
    assert [found.getpixel((0, 0)), found.getpixel((1, 0))] == [WHITE if transparent else RED, BLUE]


def test_grey_and_grey_with_alpha():
    assert decode_image(encoded(Image.new("L", (2, 2), 77))).getpixel((0, 0)) == (77, 77, 77)
    image = Image.new("LA", (2, 1), (77, 255))
    image.putpixel((0, 0), (0, 0))
    found = decode_image(encoded(image))
    assert [found.getpixel((0, 0)), found.getpixel((1, 0))] == [WHITE, (77, 77, 77)]


def test_one_bit():
    assert decode_image(encoded(Image.new("1", (2, 2), 1))).getpixel((0, 0)) == WHITE


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_16_bit_keeps_its_shades(format):
    shades = np.array([[0, 16384, 32768, 65535]], np.uint16)
    found = decode_image(encoded(Image.fromarray(shades), format))
    assert all(near(found.getpixel((x, 0)), (grey,) * 3, 1) for x, grey in enumerate((0, 64, 128, 255)))


def test_16_bit_with_a_transparent_shade():
    shades = np.array([[0, 16384, 32768, 65535]], np.uint16)
    assert near(decode_image(encoded(Image.fromarray(shades), transparency=65535)).getpixel((1, 0)), (64, 64, 64), 1)


def test_cmyk():
    found = decode_image(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    assert found.mode == "RGB"
    assert near(found.getpixel((8, 8)), RED, 12)


@pytest.mark.parametrize("format", ["JPEG", "GIF", "WEBP", "BMP"])
def test_common_formats(format):
    found = decode_image(encoded(Image.new("RGB", (16, 16), RED), format))
    assert found.size == (16, 16)
    assert near(found.getpixel((8, 8)), RED, 12)


@pytest.mark.parametrize("size", [None, 16])
def test_exif_orientation_sets_it_upright(size):
    image = Image.new("RGB", (64, 32), BLUE)
    image.paste(RED, (0, 0, 32, 32))  # red on the left; orientation 6 says: turn it clockwise, red comes on top
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decode_image(encoded(image, "JPEG", exif=exif, quality=95), size)
    assert found.height == 2 * found.width
    assert near(found.getpixel((found.width // 2, found.height // 8)), RED, 12)
    assert near(found.getpixel((found.width // 2, found.height * 7 // 8)), BLUE, 12)


def test_a_hint_of_the_size_wanted_keeps_more_than_that_size():
    big = encoded(noise(512), "JPEG")
    assert decode_image(big).size == (512, 512)
    assert 32 <= decode_image(big, 32).width < 512


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "empty file"), (b"no picture at all", "not an image"), (b"<svg></svg>", "not an image"),
    (encoded(noise())[:2000], "truncated"), (encoded(noise(), "JPEG")[:1500], "truncated")])
def test_broken_images_have_a_reason(content, reason, tmp_path):
    with pytest.raises(ImageError, match=reason):
        decode_image(content)
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(ImageError, match=reason):
        decode_image(tmp_path / "x.png")


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(ImageError, match="file not found"):
            decode_image(path)


@pytest.mark.parametrize("side", [15_000, 100_000])
def test_a_bomb_is_refused_from_its_header(side):
    """Its pixels are missing: a decoder that went on would say "truncated"."""
    with pytest.raises(ImageError, match=f"too large.*{MAX_PIXELS:,}"):
        decode_image(png_header(side, side))


def test_a_real_bomb_is_refused(tmp_path):
    rows = zlib.compressobj(1)
    body = b"".join(rows.compress(bytes(1 + 15_000 // 8)) for _ in range(15_000)) + rows.flush()
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 15_000, 15_000, 1, 0, 0, 0, 0)), (b"IDAT", body), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(content)) + kind + content
                                          + struct.pack(">I", zlib.crc32(kind + content)) for kind, content in parts)
    with pytest.raises(ImageError, match="too large"):
        open_image(png)


def test_the_largest_allowed_size_passes_the_header():
    assert open_image(png_header(8000, MAX_PIXELS // 8000)).size == (8000, 8000)
    with pytest.raises(ImageError, match="too large"):
        open_image(png_header(8000, 8001))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 96))
def test_square_keeps_the_whole_picture_and_its_proportions(width, height, size):
    found = np.asarray(square(Image.new("RGB", (width, height), RED), size))
    assert found.shape == (size, size, 3)
    inked = (found == RED).all(axis=2)
    scale = size / max(width, height)
    assert inked.any(axis=0).sum() == max(1, round(width * scale))
    assert inked.any(axis=1).sum() == max(1, round(height * scale))
    assert ((found == WHITE).all(axis=2) | inked).all()


def test_square_of_the_same_size_changes_nothing():
    image = noise(48)
    assert np.array_equal(np.asarray(square(image, 48)), np.asarray(image))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"BM"]))
def test_random_bytes_are_a_picture_or_an_image_error(content, start):
    try:
        found = decode_image(start + content).mode
    except ImageError as error:
        found = str(error)
    assert found
    assert "\n" not in found


def test_read_pixels_keeps_the_order_and_lists_the_broken():
    colours = [(i * 20, 0, 0) for i in range(12)]
    examples = [Example(str(i), encoded(Image.new("RGB", (10, 10), colour)), ["x"], [])
                for i, colour in enumerate(colours)]
    examples.insert(5, Example("broken", encoded(noise())[:2000], ["x"], []))
    done = []
    pixels = read_pixels(examples, 8, done.append)
    assert pixels.array.shape == (12, 8, 8, 3)
    assert [tuple(row) for row in pixels.array[:, 4, 4].tolist()] == colours
    assert [example.id for example in pixels.examples] == [str(i) for i in range(12)]
    assert [(row.file, row.reason) for row in pixels.skipped] == [("broken", "truncated")]
    assert sum(done) == 13
