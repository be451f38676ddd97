"""From JPEG files to normalised batches: `python -m benchmarks.decoding [--quick] [--data FOLDER]`.

Beside Pillow with the processor of transformers (one thread each, in CPU time), and beside a DataLoader with the
transforms that CLIP was published with (as many worker processes as we have threads, by the clock). The sides take
turns, figures are medians. Pictures of each size are laid together from photographs at their own scale, so that a large
one is as detailed as a camera's. Needs flickr8k-700, clothing-1200 or youtube-thumbnails-150 in the data folder.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

from benchmarks.report import report
from vector_universe.data import Framing
from vector_universe.data.decode_ahead import decode_ahead
from vector_universe.data.images import DECODED_REACH
from vector_universe.data.read_ahead import cores
from vector_universe.models.image_encoder import normalise
from vector_universe.models.preprocessing import framing_by_kind

FRAMING = framing_by_kind("clip", 224)
FOLDERS = ("flickr8k-700", "clothing-1200", "youtube-thumbnails-150")
# Width, height; pictures; how many times each is read in a turn of one thread, and in a turn of the loaders.
SIZES = ((320, 180, 32, 8, 32), (1280, 720, 32, 2, 8), (4000, 3000, 12, 1, 4))
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a quarter of the pictures, three turns")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    photos = sorted(file for name in FOLDERS for file in (arguments.data / name).rglob("*.jpg"))
    if not photos:
        sys.exit(f"no .jpg in {', '.join(FOLDERS)} of {arguments.data}: give their folder by --data")
    turns, part = (3, 4) if arguments.quick else (7, 1)
    torch.manual_seed(0)
    clip = CLIPModel(CLIPConfig()).eval()
    for width, height, count, reads, loader_reads in SIZES:
        case = f"decode_{width}x{height}"
        with tempfile.TemporaryDirectory() as folder:
            files = write_pictures(Path(folder), photos, width, height, count)
            few, many = (list(islice(cycle(files), number * count // part)) for number in (reads, loader_reads))
            note = f"{len(few)} pictures, one thread, CPU time"
            alone = in_turns({"ours": lambda few=few: ours(few), "hf": lambda few=few: hf_processor(few),
                              "scaled": lambda few=few: bare_scaled(few), "full": lambda few=few: bare_full(few)},
                             turns, time.process_time)
            report(case, "images_per_second_a_core", len(few) / alone["ours"], note)
            report(case, "speedup_vs_hf_processor", alone["hf"] / alone["ours"], note)
            report(case, "share_of_libjpeg_decode", alone["scaled"] / alone["ours"],
                   "of our time, that of bare decoding at the same scale")
            report(case, "speedup_vs_bare_full_decode", alone["full"] / alone["ours"], "of every pixel, nothing else")
            loader = DataLoader(PilPictures(many), BATCH, num_workers=cores(), persistent_workers=True)
            both = in_turns({"ours": lambda many=many: our_loader(many), "pil": lambda loader=loader: deque(loader, 0)},
                            turns, time.perf_counter)
            del loader
            note = f"{len(many)} pictures, {cores()} threads"
            report(case, "images_per_second", len(many) / both["ours"], note)
            report(case, "speedup_vs_pil_loader", both["pil"] / both["ours"],
                   f"{note} against as many worker processes, started before")
            exact, scaled = (embed(clip, framing, files) for framing in (replace(FRAMING, exact=True), FRAMING))
            middle = exact.mean(0)
            report(case, "drift_cosine", cosine(scaled, exact), "CLIP ViT-B/32 of random weights, mean")
            report(case, "drift_cosine_centred", cosine(scaled - middle, exact - middle), "from the mean embedding")


def write_pictures(folder: Path, photos: Sequence[Path], width: int, height: int, count: int) -> list[str]:
    """JPEG files of this size, quality 90, each filled with photographs at their own scale, or smaller where one is."""
    random = np.random.default_rng(0)
    files = []
    for number in range(count):
        canvas = Image.new("RGB", (width, height))
        top = 0
        while top < height:
            left, lowest = 0, height
            while left < width:
                photo = Image.open(photos[random.integers(len(photos))]).convert("RGB")
                if width < photo.width:
                    photo = photo.resize((width, round(photo.height * width / photo.width)), Image.Resampling.LANCZOS)
                canvas.paste(photo, (left, top))
                left, lowest = left + photo.width, min(lowest, photo.height)
            top += lowest
        files.append(str(folder / f"{number}.jpg"))
        canvas.save(files[-1], quality=90)
    return files


def in_turns(sides: dict[str, Callable[[], object]], turns: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median seconds of each side; its first turn is a warm-up."""
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(turns + 1):
        for name, side in sides.items():
            started = clock()
            side()
            if turn:
                seconds[name].append(clock() - started)
    return {name: median(found) for name, found in seconds.items()}


# ---- one thread ----

def batches(files: Sequence[str]) -> Iterator[Sequence[str]]:
    return (files[start:start + BATCH] for start in range(0, len(files), BATCH))


def ours(files: Sequence[str]) -> None:
    for batch in batches(files):
        normalise(torch.from_numpy(np.stack([FRAMING.pixels(file) for file in batch])), FRAMING.mean, FRAMING.std)


PROCESSOR = CLIPImageProcessorPil()


def hf_processor(files: Sequence[str]) -> None:
    for batch in batches(files):
        _ = PROCESSOR(images=[Image.open(file) for file in batch], return_tensors="pt")["pixel_values"]


def bare_scaled(files: Sequence[str]) -> None:
    wanted = round(DECODED_REACH * FRAMING.size)
    for file in files:
        image = Image.open(file)
        image.draft("RGB", (wanted, wanted))
        image.load()


def bare_full(files: Sequence[str]) -> None:
    for file in files:
        Image.open(file).load()


# ---- all cores ----

def our_loader(files: Sequence[str]) -> None:
    for batch in decode_ahead(FRAMING, files, BATCH):
        normalise(torch.from_numpy(batch), FRAMING.mean, FRAMING.std)


class PilPictures(Dataset):
    """Resize(224, bicubic), CenterCrop(224), ToTensor and Normalize as torchvision does them to PIL pictures."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self.mean, self.std = (torch.tensor(values).view(3, 1, 1) for values in (FRAMING.mean, FRAMING.std))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> Tensor:
        with open(self.files[place], "rb") as file:
            image = Image.open(file).convert("RGB")
        size, (width, height) = FRAMING.size, image.size
        shape = (size, size * height // width) if width <= height else (size * width // height, size)
        image = image.resize(shape, Image.Resampling.BICUBIC)
        left, top = round((shape[0] - size) / 2), round((shape[1] - size) / 2)
        image = image.crop((left, top, left + size, top + size))
        tensor = torch.from_numpy(np.array(image, copy=True)).permute(2, 0, 1).contiguous().float().div(255)
        return tensor.sub_(self.mean).div_(self.std)


# ---- drift ----

@torch.inference_mode()
def embed(clip: CLIPModel, framing: Framing, files: Sequence[str]) -> Tensor:
    """Embeddings (N, D)."""
    pixels = normalise(torch.from_numpy(np.stack([framing.pixels(file) for file in files])), framing.mean, framing.std)
    return clip.get_image_features(pixels).pooler_output


def cosine(ours_ND: Tensor, theirs_ND: Tensor) -> float:
    return torch.nn.functional.cosine_similarity(ours_ND, theirs_ND).mean().item()


if __name__ == "__main__":
    main()
