"""The OCR engine of the extra `ocr`: RapidOCR, which runs PaddleOCR's PP-OCRv6 on the CPU by ONNX Runtime.

Its models lie in its package, so nothing is downloaded; engine and models are Apache-2.0.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import numpy as np
from PIL import Image

from vector_universe.data.ocr import OcrError
from vector_universe.data.ocr_cache import OcrLine
from vector_universe.errors import UserError

# Text is sought in the picture scaled up to this shorter side; the engine's own 736 finds little more on thumbnails
# and takes half as long again.
SHORT_SIDE = 480


def rapid_ocr_name() -> str:
    """Name, version and setting of the engine.

    Raises:
        UserError: the extra `ocr` is not installed.
    """
    try:
        version("onnxruntime")
        return f"rapidocr {version('rapidocr')} at {SHORT_SIDE}"
    except PackageNotFoundError:
        raise UserError("reading burnt-in text needs the extra 'ocr': pip install 'vector-universe[ocr]'") from None


class RapidOcr:
    """RapidOCR with its standard models: Latin letters, digits and Chinese, upright text.

    Raises:
        UserError: the extra `ocr` is not installed.
    """

    def __init__(self) -> None:
        self.name = rapid_ocr_name()
        from rapidocr import RapidOCR

        # Text burnt into a picture is never upside down, which is all that the engine's classifier tells.
        self._engine = RapidOCR(params={"Global.log_level": "critical", "Global.use_cls": False,
                                        "Det.limit_side_len": SHORT_SIDE})

    def read(self, picture: Image.Image) -> list[OcrLine]:
        """The lines of text in an RGB picture.

        Raises:
            OcrError: the engine fails on this picture.
        """
        blue_green_red = np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])
        try:
            found = self._engine(blue_green_red)
        except Exception as error:  # OpenCV, ONNX Runtime and the engine raise what they like
            raise OcrError(f"{type(error).__name__}: {error}") from error
        if found.txts is None:
            return []
        return [OcrLine(text, round(float(score), 4), *map(float, box.min(axis=0)), *map(float, box.max(axis=0)))
                for text, score, box in zip(found.txts, found.scores, found.boxes, strict=True)]
