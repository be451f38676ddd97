"""Hugging Face data sets: a folder written by `save_to_disk`, or the id of one on the Hub. No code of theirs is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from vector_universe.data.options import LoadOptions
from vector_universe.data.sources.arrow_tables import HuggingFaceTable
from vector_universe.data.sources.source import Source
from vector_universe.data.sources.table import table_source
from vector_universe.errors import UserError

if TYPE_CHECKING:
    import datasets

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote this folder."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file())


def saved_source(folder: Path, options: LoadOptions) -> Source:
    """The data set in a folder written by `save_to_disk`.

    Raises:
        UserError: it cannot be read, or lacks the columns.
    """
    import datasets
    try:
        loaded = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{folder} cannot be read as a saved Hugging Face data set ({_line(error)}): save it again"
                        ) from None
    files = tuple(sorted(path for path in folder.rglob("*") if path.is_file()))
    return _source(loaded, options, name=folder.resolve().name, place=str(folder), folder=folder, files=files)


def hub_source(name: str, options: LoadOptions) -> Source:
    """The data set of this id on the Hub, downloaded to the library's cache.

    Raises:
        UserError: there is no such data set, no network, or its columns do not fit.
    """
    import datasets
    unreachable = look_at_hub(name)
    cached = Path(datasets.config.HF_DATASETS_CACHE, name.replace("/", "___")).is_dir()
    if unreachable and not cached:
        raise UserError(f"{name} is no file or folder here, and the Hugging Face Hub cannot be reached ({unreachable})")
    try:
        loaded = datasets.load_dataset(name)
    except datasets.exceptions.DatasetNotFoundError:
        raise _not_there(name) from None
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"the data set {name} of the Hugging Face Hub cannot be loaded ({_line(error)})") from None
    files = tuple(Path(file["filename"]) for split in loaded.values() for file in split.cache_files)
    return _source(loaded, options, name=name.split("/")[-1], place=name, folder=None, files=files)


def look_at_hub(name: str) -> str:
    """Why the Hub cannot be reached; "" if it can: one look first, as a download tries for half a minute.

    Raises:
        UserError: it can, and has no such data set.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError
    try:
        HfApi().dataset_info(name, timeout=10)
    except HfHubHTTPError:
        raise _not_there(name) from None
    except (OSError, RuntimeError, ValueError) as error:  # offline, by network or by setting
        return _line(error)
    except Exception as error:
        if not type(error).__module__.startswith(("httpx", "httpcore", "requests")):
            raise
        return _line(error)
    return ""


def _not_there(name: str) -> UserError:
    return UserError(f"{name} is no file or folder here, and no data set on the Hugging Face Hub that you may read: "
                     "check the name, or `hf auth login`")


def _source(loaded: datasets.Dataset | datasets.DatasetDict, options: LoadOptions, *, name: str, place: str,
            folder: Path | None, files: tuple[Path, ...]) -> Source:
    parts = loaded.items() if isinstance(loaded, dict) else [("", loaded)]
    several = isinstance(loaded, dict) and len(loaded) > 1
    tables = [HuggingFaceTable(part, place, folder, split if several else "") for split, part in parts]
    return table_source(tables, options, name=name, files=files)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200] or type(error).__name__
