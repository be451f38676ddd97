"""Every kind of picture, beside what its format says its pixels are, worked out number by number."""

from __future__ import annotations

import io
import struct
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.broken_pictures import encoded, png
from vector_universe.data import Framing, ImageError, decode_image, images
from vector_universe.data.colours import rgb

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)

# EXIF orientation → how the stored array was turned from the upright one, so that decoding must undo it.
STORED = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
          5: lambda a: a.swapaxes(0, 1), 6: lambda a: a.swapaxes(0, 1)[::-1], 7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
          8: lambda a: a.swapaxes(0, 1)[:, ::-1]}


def decoded(content: bytes, *arguments: object) -> np.ndarray:
    found = np.asarray(decode_image(content, *arguments))
    assert found.dtype == np.uint8
    assert found.ndim == 3
    return found.astype(int)


def corners(height: int, width: int) -> np.ndarray:
    """Red, green and blue corners on grey: no two turns of it look alike."""
    picture = np.full((height, width, 3), 128, np.uint8)
    picture[:height // 2, :width // 2] = RED
    picture[:height // 2, width // 2:] = GREEN
    picture[height // 2:, :width // 2] = BLUE
    return picture


@pytest.mark.parametrize("size", [None, 16])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", STORED)
def test_upright_by_every_orientation(orientation, format, size):
    upright = corners(128, 192)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"exif": exif} | ({"quality": 95} if format in ("JPEG", "WEBP", "AVIF") else {})
    content = encoded(Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))), format, **options)
    found = decoded(content, size)
    assert (found.shape[0] < 128) == (size is not None)
    height, width = found.shape[:2]
    assert abs(width / height - 1.5) < 0.1
    for y, x, colour in ((1, 1, RED), (1, 3, GREEN), (3, 1, BLUE), (3, 3, (128, 128, 128))):
        assert np.abs(found[y * height // 4, x * width // 4] - colour).max() <= 12


def test_damaged_exif_leaves_the_picture():
    content = encoded(Image.fromarray(corners(32, 48)), exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert decoded(content).shape == (32, 48, 3)


@pytest.mark.parametrize(("mode", "format"), [("RGBA", "PNG"), ("RGBA", "TIFF"), ("LA", "PNG"), ("RGBA", "WEBP")])
def test_alpha_is_laid_on_white(mode, format):
    values = np.random.default_rng(0).integers(0, 256, (8, 8, len(mode)))
    content = encoded(Image.fromarray(values.astype(np.uint8), mode), format,
                      **({"lossless": True, "exact": True} if format == "WEBP" else {}))
    alpha = values[..., -1:] / 255
    wanted = values[..., :-1] * alpha + 255 * (1 - alpha)
    assert np.abs(decoded(content) - wanted).max() <= 1


def test_a_palette_with_a_transparency_each():
    image = Image.new("P", (4, 1))
    image.putpalette([*RED, *GREEN, *BLUE, 0, 0, 0])
    image.putdata([0, 1, 2, 3])
    found = decoded(encoded(image, transparency=bytes([255, 0, 128, 255])))[0]
    assert np.abs(found - [RED, (255, 255, 255), (127, 127, 255), (0, 0, 0)]).max() <= 1


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP", "GIF"])
def test_one_bit(format):
    bits = np.random.default_rng(1).integers(0, 2, (5, 11)).astype(bool)
    assert np.array_equal(decoded(encoded(Image.fromarray(bits), format)), np.repeat(bits[..., None] * 255, 3, 2))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "JPEG2000"])
def test_grey_of_16_bits(format):
    values = np.random.default_rng(2).integers(0, 65536, (40, 40)).astype(np.uint16)
    found = decoded(encoded(Image.fromarray(values), format))
    assert np.abs(found - values[..., None] / 257).max() <= 1


def test_big_endian_grey_of_16_bits_and_its_transparent_shade():
    values = np.array([[0, 300, 40_000, 65_535]], ">u2")
    assert decoded(png(4, 1, b"\0" + values.tobytes(), depth=16, colour=0))[0, :, 0].tolist() == [0, 1, 156, 255]
    transparent = png(4, 1, b"\0" + values.tobytes(), depth=16, colour=0, more=((b"tRNS", struct.pack(">H", 300)),))
    assert decoded(transparent)[0, :, 0].tolist() == [0, 255, 156, 255]


def test_colour_of_16_bits_and_its_transparent_colour():
    values = np.random.default_rng(3).integers(0, 65536, (1, 6, 3)).astype(">u2")
    rows = b"\0" + values.tobytes()
    assert np.abs(decoded(png(6, 1, rows, depth=16)) - values / 257).max() <= 1
    found = decoded(png(6, 1, rows, depth=16, more=((b"tRNS", values[0, 2].tobytes()),)))
    assert found[0, 2].tolist() == [255, 255, 255]
    assert np.abs(np.delete(found - values / 257, 2, 1)).max() <= 1


@pytest.mark.parametrize(("values", "wanted"), [([0.0, 0.25, 1.0, np.nan, -1], [0, 64, 255, 0, 0]),
                                                ([0.0, 64, 255, 300, np.inf], [0, 64, 255, 255, 255])])
def test_floating_point_grey(values, wanted):
    image = Image.fromarray(np.array([values], np.float32))
    assert decoded(encoded(image, "TIFF"))[0, :, 0].tolist() == wanted


def cmyk_to_rgb(values: np.ndarray) -> np.ndarray:
    cyan_magenta_yellow, black = values[..., :3] / 255, values[..., 3:] / 255
    return 255 * (1 - cyan_magenta_yellow) * (1 - black)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk(format):
    values = np.repeat(np.repeat(np.random.default_rng(4).integers(0, 256, (3, 4, 4)), 16, 0), 16, 1).astype(np.uint8)
    content = encoded(Image.fromarray(values, "CMYK"), format, **({"quality": 98} if format == "JPEG" else {}))
    assert np.abs(decoded(content) - cmyk_to_rgb(values)).mean() < 3


def test_ycck_is_cmyk_whose_colours_are_stored_as_brightness_and_two_differences():
    """The bytes of a CMYK JPEG, called YCCK by its Adobe marker: what were inverted C, M, Y are now Y, Cb, Cr."""
    stored = np.repeat(np.repeat(np.random.default_rng(5).integers(60, 200, (3, 4, 4)), 16, 0), 16, 1).astype(np.uint8)
    content = encoded(Image.fromarray(255 - stored, "CMYK"), "JPEG", quality=98)
    marker = content.index(b"Adobe") + 11  # after the name: version 2, flags 2 and 2, transform 1
    assert content[marker] == 0
    ycck = content[:marker] + b"\2" + content[marker + 1:]
    y, blue, red, black = (stored[..., channel].astype(float) for channel in range(4))
    blue, red = blue - 128, red - 128
    inverted_cmy = np.stack([y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue], -1)
    # libjpeg gives CMYK as 255 minus that sum; Adobe stores the whole inverted.
    wanted = np.clip(255 - inverted_cmy, 0, 255) * black[..., None] / 255
    assert np.abs(decoded(ycck) - wanted).mean() < 4


def lab_of(colours: np.ndarray) -> np.ndarray:
    """CIELAB of sRGB colours, L from 0 to 100, by the white point of print, D50."""
    linear = np.where(colours <= 0.04045 * 255, colours / 255 / 12.92, ((colours / 255 + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169],
                       [0.0139322, 0.0971045, 0.7141733]])
    share = linear @ to_xyz.T / to_xyz.sum(1)
    x, y, z = np.moveaxis(np.where(share > (6 / 29) ** 3, np.cbrt(share), share * (29 / 6) ** 2 / 3 + 4 / 29), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def test_lab():
    colours = np.random.default_rng(9).integers(20, 236, (6, 7, 3)).astype(float)
    lab = lab_of(colours)
    stored = np.stack([lab[..., 0] * 2.55, lab[..., 1] + 128, lab[..., 2] + 128], -1).round().astype(np.uint8)
    image = Image.merge("LAB", [Image.fromarray(stored[..., channel]) for channel in range(3)])
    for found in (np.asarray(rgb(image)).astype(int), decoded(encoded(image, "TIFF"))):
        assert np.abs(found - colours).max() <= 12  # saturated colours are steep in 8 bits of LAB
        assert np.abs(found - colours).mean() <= 2


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_the_start(format):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    content = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=50)
    assert getattr(Image.open(io.BytesIO(content)), "n_frames", 1) == 3
    assert np.abs(decoded(content)[8, 8] - RED).max() <= 4


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "JPEG2000", "PPM", "MPO"])
def test_every_format(format):
    found = decoded(encoded(Image.fromarray(corners(64, 96)), format))
    assert found.shape == (64, 96, 3)
    for y, x, colour in ((16, 24, RED), (16, 72, GREEN), (48, 24, BLUE)):
        assert np.abs(found[y, x] - colour).max() <= 12


@pytest.mark.parametrize("format", ["EPS", "ICO", "PDF", "PCX"])
def test_other_formats_are_not_asked(format):
    """EPS is a program that Pillow would have run."""
    with pytest.raises(ImageError, match="not an image"):
        decode_image(encoded(Image.fromarray(corners(32, 32)), format))


def test_limits_are_read_before_anything_else(tmp_path, monkeypatch):
    content = encoded(Image.fromarray(corners(20, 40)))
    (tmp_path / "x.png").write_bytes(content)
    for name, limit, message in (("MAX_BYTES", len(content) - 1, "bytes, limit"), ("MAX_PIXELS", 799, "40x20 pixels"),
                                 ("MAX_SIDE", 39, "40x20 pixels")):
        with monkeypatch.context() as change:
            change.setattr(images, name, limit)
            for source in (content, tmp_path / "x.png", images.FileSlice(str(tmp_path / "x.png"), 0, len(content))):
                with pytest.raises(ImageError, match=f"too large.*{message}"):
                    decode_image(source)
    assert decoded(content).shape == (20, 40, 3)


@pytest.mark.parametrize("bomb", [
    encoded(Image.new("1", (9000, 9000)), "TIFF", compression="group4"), encoded(Image.new("1", (9000, 9000)), "GIF"),
    b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\x3f\0" * 2 + b"VP8 \0\0\0\0",
    b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1000, 0, 0, 54, 40, 30_000, 30_000, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(900)])
def test_bombs_of_other_formats(bomb):
    with pytest.raises(ImageError, match=r"too large|not an image"):
        decode_image(bomb)


def test_exact_decoding_reads_every_pixel():
    noise = Image.fromarray(np.random.default_rng(6).integers(0, 256, (600, 900, 3), np.uint8))
    for format in ("JPEG", "PNG"):
        content = encoded(noise, format)
        scaled, exact = Framing(64, "crop"), Framing(64, "crop", exact=True)
        assert exact.decode(content).size == (900, 600)
        assert scaled.decode(content).width < 900
        assert exact.decode(noise) is noise
        whole = Image.open(io.BytesIO(content)).convert("RGB").resize((96, 64), Image.Resampling.BICUBIC)
        assert np.abs(exact.pixels(content).astype(int) - np.asarray(whole)[:, 16:80]).max() <= 1
        assert replace(exact, exact=False) == scaled


def test_averaging_takes_whole_blocks_about_the_middle():
    picture = Image.fromarray(np.random.default_rng(8).integers(0, 256, (130, 303, 3), np.uint8))
    found = np.asarray(images.average_blocks(picture, 16)).astype(float)  # 130 // 32 = 4 pixels a side
    whole = np.asarray(picture)[1:129, 1:301].astype(float)
    assert np.abs(found - whole.reshape(32, 4, 75, 4, 3).mean((1, 3))).max() <= 0.51
    assert images.average_blocks(picture, 33) is picture
    assert images.average_blocks(picture, 33, longest=True).size == (75, 32)
    assert images.average_blocks(Image.new("RGB", (1000, 1)), 10, longest=True).size == (20, 1)
