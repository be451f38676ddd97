"""`vu serve` and `vu share`: the page of a universe, from a server or as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from vector_universe.cli.say import say


@dataclass(frozen=True)
class Serve:
    """Serve the page and the API of a universe, to this machine or to others who have a token."""

    universe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="UNIVERSE")]
    """What `vu index` wrote: a folder, or s3://bucket/folder. When it changes, the new one is served by itself."""
    compare: Annotated[str | None, tyro.conf.arg(metavar="OTHER")] = None
    """A universe of the same items by another model, to be seen beside it."""
    port: int = 8765
    """Port to listen on; 0 takes any free one."""
    host: str = "127.0.0.1"
    """Address to listen on: this machine alone by default, 0.0.0.0 for others too, who then need the token."""
    token: Annotated[str | None, tyro.conf.arg(metavar="TOKEN")] = None
    """What every request must show, at least 16 characters; better in the variable VU_TOKEN, as other users of this
    machine can read commands. Unset: made up and printed where --host lets others in."""
    open: bool = True
    """Open the page in the browser, where somebody sits before this machine."""

    def run(self) -> None:
        from vector_universe.serve import serve
        serve(self.universe, self.port, self.host, self.token, self.open, compare=self.compare)


@dataclass(frozen=True)
class Share:
    """Write a universe as one zip that anyone can open in a browser: map, thumbnails and words, without the model."""

    universe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="UNIVERSE")]
    """What `vu index` wrote: a folder, or s3://bucket/folder."""
    out: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUT.zip")]
    """A new file, or one that was shared before."""

    def run(self) -> None:
        from vector_universe.progress import stages
        from vector_universe.serve.share import share
        with stages() as progress:
            written = share(self.universe, self.out, progress)
        say(f"{written.items:,} items are in {self.out}, {written.size / 1e6:,.1f} MB: unpack it, open index.html")
