"""A file that is something else under the name of an image is called what it is; HEIC is read where it can be."""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import tarfile
import zipfile
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageFile

from tests.broken_pictures import encoded
from vector_universe.data import ImageError, decode_image, images
from vector_universe.data.doctor.pictures import fault_kind
from vector_universe.data.heic import heic_formats
from vector_universe.data.images import FileSlice, open_image

TINY = Image.new("RGB", (8, 8), (200, 30, 30))


def box(brand: bytes, *more: bytes) -> bytes:
    """The first box of HEIC, AVIF and MP4: a brand, its version, and the brands that it goes with."""
    body = b"ftyp" + brand + bytes(4) + b"".join(more)
    return (len(body) + 4).to_bytes(4, "big") + body


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", "a")
    return file.getvalue()


def tarred() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    return file.getvalue()


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FILES = {
    b"<!DOCTYPE html>\n<html><title>404 Not Found</title></html>\n": "a web page (HTML)",
    b"\xef\xbb\xbf\r\n  <HTML lang=en><body>": "a web page (HTML)",
    b"<!-- moved --><script>location.href='/'</script>": "a web page (HTML)",
    b"<?xml version='1.0'?><!DOCTYPE html><html/>": "a web page (HTML)",
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>": "an XML document",
    b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>": "a drawing (SVG), export it as PNG",
    b"<svg></svg>": "a drawing (SVG), export it as PNG",
    b"%PDF-1.7\n": "a PDF document",
    b"%!PS-Adobe-3.0 EPSF-3.0": "a PostScript drawing (EPS)",
    box(b"isom", b"mp42") + bytes(40): "a video (MP4)",
    box(b"mp42") + bytes(40): "a video (MP4)",
    box(b"qt  ") + bytes(40): "a video (QuickTime)",
    bytes(4) + b"moov" + bytes(40): "a video (QuickTime)",
    box(b"M4A ") + bytes(40): "sound (M4A)",
    b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm" + bytes(40): "a video (WebM)",
    b"\x1a\x45\xdf\xa3\x9f\x42\x82\x88matroska" + bytes(40): "a video (Matroska)",
    b"RIFF\0\0\0\0AVI LIST" + bytes(40): "a video (AVI)",
    b"RIFF\0\0\0\0WAVEfmt " + bytes(40): "sound (WAV)",
    zipped(): "a ZIP archive",
    gzip.compress(b"a"): "compressed data (gzip)",
    tarred(): "a tar archive",
    saved(np.zeros(3)): "a NumPy array",
    json.dumps({"error": "not found"}).encode(): "JSON",
    b"[1, 2]": "JSON",
    b"not a picture": "plain text",
    "naïve façade ".encode() * 400: "plain text",  # cut off within a letter
    b"\n\n[gone]": "plain text",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n":
        "a pointer of Git LFS, `git lfs pull` fetches the file",
    b"8BPS\0\1" + bytes(40): "a Photoshop file (PSD), export it as PNG",
    encoded(TINY, "ICO"): "a Windows icon (ICO), export it as PNG",
    b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40): "JPEG XL, convert it to JPEG or PNG",
    b"\xff\x0a\xfa\x7f" + bytes(40): "JPEG XL, convert it to JPEG or PNG",
    b"II*\0\x10\0\0\0CR\2\0" + bytes(40): "a camera's raw file (Canon CR2), export it as JPEG",
    box(b"crx ", b"isom"): "a camera's raw file (Canon CR3), export it as JPEG",
    b"FUJIFILMCCD-RAW 0201" + bytes(40): "a camera's raw file (Fujifilm RAF), export it as JPEG",
    b"IIU\0\x18\0\0\0" + bytes(40): "a camera's raw file (Panasonic RW2), export it as JPEG",
    bytes(128) + b"DICM" + bytes(40): "a medical picture (DICOM), export it as PNG",
    b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(40): "a side file of macOS (AppleDouble)",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(40): "an old Office document or a Thumbs.db",
    bytes(4096): "nothing but zeros",
    b"\xff\xd8\xff\xe0": "a JPEG with a damaged header",
    encoded(TINY)[:29] + bytes(4) + encoded(TINY)[33:]: "a PNG with a damaged header",
    box(b"avif") + bytes(40): "an AVIF with a damaged header",
}


@pytest.mark.parametrize(("content", "what"), FILES.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_file_is_called_what_it_is(content, what, tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"before" + content)
    (tmp_path / "y.jpg").write_bytes(content)
    for source in (content, tmp_path / "y.jpg", FileSlice(str(tmp_path / "x.jpg"), 6, len(content))):
        with pytest.raises(ImageError) as refused:
            open_image(source)
        assert str(refused.value) == f"not an image: {what}"
    assert fault_kind(f"not an image: {what}") == "image_unreadable"


@pytest.mark.parametrize("content", [b"\x88PNG\r\n\x1a\n" + bytes(range(256)), b"\x01\x02\x03", b" \n\n",
                                     "latin-1 für immer".encode("latin-1")])
def test_what_tells_nothing_is_no_image_and_no_more(content):
    with pytest.raises(ImageError, match=r"^not an image$"):
        open_image(content)


def test_real_images_of_the_same_family_are_still_read():
    assert decode_image(encoded(TINY, "AVIF")).size == (8, 8)
    assert decode_image(encoded(TINY, "JPEG2000")).size == (8, 8)


# ---- HEIC ----

HEICS = [box(b"heic", b"mif1", b"heic"), box(b"mif1", b"mif1", b"heic"), box(b"msf1", b"hevc"), box(b"heix")]


@pytest.fixture
def heif(monkeypatch):
    """A stand-in for pillow-heif, which reads every HEIC as 40 x 30 pixels of one colour; how often it was set up."""
    class Stub(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self) -> None:
            if b"damaged" in self.fp.read():
                raise SyntaxError
            self._mode, self._size = "RGB", (40, 30)

        def load(self):
            self.im = Image.new("RGB", self.size, (10, 20, 30)).im
            return Image.Image.load(self)

    calls = []

    def register() -> None:
        calls.append(1)
        Image.register_open("HEIF", Stub, lambda start: start[4:8] == b"ftyp")

    module = ModuleType("pillow_heif")
    monkeypatch.setattr(module, "register_heif_opener", register, raising=False)
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    heic_formats.cache_clear()
    yield calls
    heic_formats.cache_clear()
    Image.OPEN.pop("HEIF", None)
    Image.ID[:] = [name for name in Image.ID if name != "HEIF"]


@pytest.mark.parametrize("content", HEICS)
def test_heic_without_a_reader_says_what_lets_it_be_read(content, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    heic_formats.cache_clear()
    (tmp_path / "x.jpg").write_bytes(content)
    reason = "not an image that is read yet: HEIC; `pip install pillow-heif` lets it be read"
    for source in (content, tmp_path / "x.jpg"):
        with pytest.raises(ImageError, match=f"^{re.escape(reason)}$"):
            open_image(source)
    assert fault_kind(reason) == "image_unreadable"
    heic_formats.cache_clear()


@pytest.mark.parametrize("content", HEICS)
def test_heic_is_read_where_pillow_heif_is_installed(content, heif, tmp_path):
    (tmp_path / "x.heic").write_bytes(content)
    for source in (content, tmp_path / "x.heic", FileSlice(str(tmp_path / "x.heic"), 0, len(content))):
        picture = decode_image(source)
        assert picture.size == (40, 30)
        assert picture.getpixel((5, 5)) == (10, 20, 30)
    assert len(heif) == 1


def test_a_heic_that_pillow_heif_cannot_read(heif):
    with pytest.raises(ImageError, match="not an image: a HEIC with a damaged header"):
        decode_image(HEICS[0] + b"damaged")


def test_limits_hold_for_heic(heif, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 40 * 30 - 1)
    with pytest.raises(ImageError, match="too large"):
        decode_image(HEICS[0])


def test_pillow_heif_is_asked_for_no_other_file(heif):
    for content in (encoded(TINY, "JPEG"), encoded(TINY, "AVIF")):
        decode_image(content)
    for content in FILES:
        with pytest.raises(ImageError):
            decode_image(content)
    assert not heif
