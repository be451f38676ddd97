"""`vu demo`: the whole way on emoji."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vector_universe.cli.serve import Serve


@dataclass(frozen=True)
class Demo:
    """Train on 1,900 emoji, measure, index, and open the page: all in a few minutes, offline."""

    out: Path = Path("demo")
    """Folder for demo/run, demo/universe and demo/metrics.json."""
    serve: bool = True
    """Open the page at the end."""
    port: int = 8765
    """Port of the page on 127.0.0.1."""

    def run(self) -> None:
        from vector_universe.demo import demo
        demo(self.out)
        if self.serve:
            Serve(str(self.out / "universe"), port=self.port).run()
