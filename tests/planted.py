"""A data set with every fault that the doctor knows, and one with none."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from vector_universe.data import Example, ImageTextDataset, SkippedRow
from vector_universe.data.skipped import Remark, RemarkKind

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbour", "island", "jungle", "kettle",
         "lagoon", "meadow", "nectar", "orchard", "prairie", "quarry", "ravine", "summit", "tundra", "upland",
         "valley", "willow", "yonder", "zephyr", "acorn", "beacon", "canyon", "dune", "estuary"]


def picture(seed: int, side: int = 96) -> Image.Image:
    """Smooth random colours: no two seeds look alike."""
    cells = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, form: str = "PNG", **settings) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def bomb() -> bytes:
    """The header of a PNG of 40,000 x 40,000 pixels, with next to nothing behind it."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def clean_examples(folder: Path | None = None) -> list[Example]:
    """30 sound images with titles and two labels in three splits."""
    return [Example(f"clean{number}", encoded(picture(number)), [f"a view of the {word} in the morning"],
                    ["land" if number % 2 else "water"],
                    "test" if number % 10 == 8 else "validation" if number % 10 == 9 else "train")
            for number, word in enumerate(WORDS)]


def clean() -> ImageTextDataset:
    return ImageTextDataset.from_examples(clean_examples(), name="clean", source="made")


def planted(folder: Path) -> tuple[ImageTextDataset, dict[str, set[str]]]:
    """A data set with every fault, and for each kind the files that have it; the clean examples are among them."""
    whole = encoded(picture(100), "JPEG", quality=90)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "bomb.png").write_bytes(bomb())
    images: dict[str, bytes | str] = {
        "missing": str(folder / "nowhere.jpg"), "empty": str(folder / "empty.jpg"), "bomb": str(folder / "bomb.png"),
        "truncated": whole[:len(whole) // 2], "unreadable": b"this is no picture", "without its end": whole[:-2],
        "tiny": encoded(picture(101, 20)), "uniform": encoded(Image.new("RGB", (64, 64), (9, 120, 200)), "JPEG"),
        "cmyk": encoded(picture(102).convert("CMYK"), "JPEG"), "palette": encoded(picture(103).quantize(64)),
        "deep": encoded(Image.fromarray(np.asarray(picture(104).convert("L"), np.uint16) * 256)),
        "transparent": encoded(with_alpha(picture(105))),
        "animated": encoded(picture(106), "GIF", save_all=True, append_images=[picture(107)]),
        "rotated": encoded(picture(108), "JPEG", exif=orientation(6)),
        "leaked": encoded(picture(0)), "copy": encoded(picture(1)),
        "near leaked": encoded(picture(2).resize((80, 80)), "JPEG", quality=85),
        "near copy": encoded(picture(3).resize((80, 80)), "JPEG", quality=85)}
    examples = [Example(name, image, [f"the {name} one, as it was planted"], ["land"],
                        "test" if "leaked" in name else "train") for name, image in images.items()]
    examples[list(images).index("copy")].labels[:] = ["water"]  # where its original says "land"

    def said(name: str, seed: int, text: str | None, labels: list[str] | None = None, split: str = "train") -> None:
        examples.append(Example(name, encoded(picture(seed)), [] if text is None else [text],
                                ["land"] if labels is None else labels, split))

    said("same text", 110, "a view of the amber in the morning")
    said("same text leaked", 111, "a view of the birch in the morning", split="test")
    said("text alike", 112, "A view of the Cedar, in the morning!")
    said("text alike leaked", 113, "A  View of the Delta in the Morning", split="validation")
    said("no text", 114, None)
    said("blank text", 115, "  ")
    said("mojibake", 116, "ein Stück Käse".encode().decode("latin-1"))
    said("lost bytes", 117, "La gran aventura de FilemÃ_n")
    said("replaced", 118, "caf\ufffd au lait")
    said("too long", 119, "many words about nothing much " * 20)
    said("file name", 120, "IMG_1234.jpg")
    said("address", 121, "https://example.org/a?b=c")
    said("camera", 122, "DSC_00417")
    said("spelling", 123, "a spelling of its own", ["Land "])
    said("rare", 124, "a label of its own", ["rarity"])
    said("unlabelled", 125, "nobody labelled this", [])
    said("clean0", 126, "an id for the second time")
    dataset = ImageTextDataset.from_examples(
        [*clean_examples(), *examples], name="planted", source="made",
        skipped=[SkippedRow("outside.jpg", 3, "its path leaves the data folder"), SkippedRow("odd", 4, "odd row"),
                 SkippedRow("gold.jpg", 7, "its split “gold” is not understood: call it train, validation or test"),
                 SkippedRow("lost.jpg", 5, "file not found"), SkippedRow("silent.jpg", 6, "no text and no label")],
        remarks=[Remark(kind, kind, 8, "as it was planted") for kind in get_args(RemarkKind)])
    return dataset, {
        **{kind: {kind} for kind in get_args(RemarkKind)}, "split_unknown": {"gold.jpg"},
        "image_identical_across_splits": {"leaked"}, "image_missing": {"missing", "lost.jpg"},
        "image_outside": {"outside.jpg"}, "image_empty": {"empty"}, "image_truncated": {"truncated"},
        "image_unreadable": {"unreadable"}, "image_too_large": {"bomb"}, "duplicate_id": {"clean0"},
        "row_skipped": {"odd"}, "labels_contradict": {"leaked", "copy"}, "image_alike_across_splits": {"near leaked"},
        "text_identical_across_splits": {"same text leaked"}, "text_alike_across_splits": {"text alike leaked"},
        "image_identical": {"copy"}, "no_text": {"no text", "blank text", "silent.jpg"},
        "text_mojibake": {"mojibake", "lost bytes", "replaced"}, "image_uniform": {"uniform"}, "image_tiny": {"tiny"},
        "label_spellings": {"Land "}, "text_too_long": {"too long"}, "image_alike": {"near copy"},
        "text_identical": {"same text"}, "text_alike": {"text alike"},
        "text_like_a_file_name": {"file name", "address", "camera"}, "label_rare": {"Land ", "rarity"},
        "no_labels": {"unlabelled"}, "image_mended": {"without its end"},
        "image_mode": {"cmyk", "palette", "deep", "transparent", "animated", "rotated"}}


def with_alpha(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def orientation(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif
