"""Decode the next batch of pictures in threads while the model works on this one."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from vector_universe.data.framing import Framing
from vector_universe.data.images import ImageSource


def decode_ahead(framing: Framing, images: Sequence[ImageSource | Image.Image],
                 batch_size: int) -> Iterator[np.ndarray]:
    """Batches of decoded and framed pictures, uint8 (B, S, S, 3), in the order of `images`.

    Raises:
        ImageError: one of them cannot be decoded; when its batch is asked for.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        batches: deque[Iterator[np.ndarray]] = deque()
        for start in range(0, len(images), batch_size):
            batches.append(threads.map(framing.pixels, images[start:start + batch_size]))  # begins at once
            if len(batches) == 2:  # one to hand out and one ahead of it: the bound on memory
                yield np.stack(list(batches.popleft()))
        while batches:
            yield np.stack(list(batches.popleft()))
