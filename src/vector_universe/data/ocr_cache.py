"""What an OCR engine saw in a picture, kept on disk: reading costs about a second a picture, looking it up nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType

from vector_universe.errors import UserError


@dataclass(frozen=True)
class OcrLine:
    """One line of text with the engine's trust in it, 0 to 1, and its box in pixels from the top left."""

    text: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


class OcrCache:
    """A file of JSON lines, {"picture": sha256, "engine": name, "lines": [[text, score, left, top, right, bottom]]}.

    Lines are only ever appended, each by one write, so that a kill costs at most the line being written and several
    processes may share the file. A line that cannot be read is passed over. Use it in a `with` statement.

    Args:
        path: the file; None for `$XDG_CACHE_HOME/vector-universe/ocr.jsonl`, by default under ~/.cache.

    Raises:
        UserError: the file cannot be read or written.
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path is not None else _user_cache() / "ocr.jsonl"
        self._lines: dict[tuple[str, str], list[OcrLine]] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            stored = self.path.read_bytes() if self.path.exists() else b""
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            if stored and not stored.endswith(b"\n"):
                os.write(self._file, b"\n")  # ends the line that a kill cut short
        except OSError as error:
            raise UserError(f"the OCR cache {self.path} cannot be used ({error.strerror}): name another file") from None
        for line in stored.splitlines():
            self._load(line)

    def get(self, digest: str, engine: str) -> list[OcrLine] | None:
        """What `engine` saw in the picture of this digest; None if it has not read it yet."""
        return self._lines.get((digest, engine))

    def put(self, digest: str, engine: str, lines: Sequence[OcrLine]) -> None:
        """Keep what `engine` saw, on disk when this returns (though not yet safe from a power cut)."""
        self._lines[digest, engine] = list(lines)
        record = {"picture": digest, "engine": engine, "lines": [astuple(line) for line in lines]}
        os.write(self._file, (json.dumps(record, ensure_ascii=False) + "\n").encode())

    def __enter__(self) -> OcrCache:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        os.close(self._file)

    def _load(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            lines = [OcrLine(str(text), *map(float, numbers)) for text, *numbers in record["lines"]]
            self._lines[record["picture"], record["engine"]] = lines
        except (ValueError, KeyError, TypeError):
            return


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vector-universe"
