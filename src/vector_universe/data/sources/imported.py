"""A folder that `vu data import` wrote: its index says which shards there are, and what they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.files import files_source
from vector_universe.data.sources.source import Source
from vector_universe.errors import UserError

INDEX = "index.json"


def imported_source(folder: Path, options: LoadOptions) -> Source:
    """The shards of an import as one source.

    Raises:
        UserError: the import was not finished, or a shard is missing or of another size.
    """
    index = read_index(folder)
    if index is None:
        raise UserError(f"{folder} is an import that was not finished: run the same vu data import again")
    paths = []
    for shard in index["shards"]:
        path = folder / Path(shard["file"]).name
        if not path.is_file() or path.stat().st_size != shard["bytes"]:
            raise UserError(f"{path} is missing or changed since it was imported: import the data again")
        paths.append(path)
    source = files_source(paths, options, name=index["name"])
    return replace(source, place=str(folder), attribution=index["attribution"])


def read_index(folder: Path) -> dict[str, Any] | None:
    """The index of an import; None where there is none, or it cannot be read."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        _ = [(shard["file"], shard["bytes"], shard["examples"]) for shard in index["shards"]]
        return index if isinstance(index["name"], str) and isinstance(index["attribution"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
