"""The built page as it is shared: opened from a disk, it finds its universe in a file beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vector_universe.errors import UserError

STATIC = Path(__file__).parents[1] / "static"
# 'self' is for those who put the folder on a web server; a page on a disk is its own stranger, hence file:.
_POLICY = ("default-src 'none'; script-src 'self' file:; style-src 'self' file:; img-src 'self' file: blob:; "
           "base-uri 'none'; form-action 'none'")
_HEAD = f"""<head>
    <meta http-equiv="Content-Security-Policy" content="{_POLICY}" />
    <meta name="referrer" content="no-referrer" />
    <link rel="stylesheet" href="data/unpacked.css" />
    <script defer src="data/universe.js"></script>"""
# Opened inside the archive, the page alone is unpacked, without the style sheet that hides this line.
_BODY = """<body>
    <p id="unpack-first">Unpack the whole archive first, then open index.html in the folder that it makes.</p>"""
UNPACKED_CSS = "#unpack-first { display: none; }\n"


def page_files(static: Path = STATIC) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the page's files, in order, `index.html` first.

    Raises:
        UserError: the page is not built.
    """
    index = static / "index.html"
    if not index.is_file():
        raise UserError("the page is not built yet: run `make page` first")
    html = index.read_text(encoding="utf-8")
    if "<head>" not in html or "<body>" not in html:
        raise UserError(f"{index} is not the page that this version builds: run `make page` again")
    yield "index.html", html.replace("<head>", _HEAD, 1).replace("<body>", _BODY, 1).encode()
    yield "data/unpacked.css", UNPACKED_CSS.encode()
    for path in sorted(static.rglob("*")):
        name = path.relative_to(static)
        if path.is_file() and path != index and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix(), path.read_bytes()
