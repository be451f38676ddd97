"""Where a universe lies: a folder of this machine, or a prefix in a bucket (s3://bucket/prefix)."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from vector_universe.errors import StorageError, UserError

if TYPE_CHECKING:
    from lancedb.db import DBConnection
    from pyarrow import fs

SCHEME = "s3://"


class Place:
    """A folder, here or in a bucket, with the few things that a universe does to one.

    Buckets are reached with the usual variables of the environment (AWS_ACCESS_KEY_ID, AWS_REGION, …); AWS_ENDPOINT_URL
    names a server other than Amazon's. A text is replaced as a whole: a reader sees the old or the new one.
    """

    def __init__(self, location: str | Path) -> None:
        text = str(location)
        self.is_local = not text.startswith(SCHEME)
        self.uri = str(Path(text).absolute()) if self.is_local else text.rstrip("/")
        if not self.is_local and not urlsplit(text).netloc:
            raise UserError(f"{text} names no bucket: write s3://bucket/folder")

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> Place:
        return Place(f"{self.uri}/{name}")

    @property
    def path(self) -> Path:
        """The folder of a local place."""
        assert self.is_local, f"{self.uri} is not on this machine"
        return Path(self.uri)

    # ---- small texts ----

    def read(self, name: str) -> str | None:
        """The text of a file; None where there is none.

        Raises:
            UserError: it cannot be read, or is no text.
        """
        found = self.read_bytes(name)
        try:
            return None if found is None else found.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{self.uri}/{name} is damaged: it is no text") from error

    def read_json(self, name: str) -> dict[str, Any] | None:
        """A JSON object; None where there is no such file.

        Raises:
            UserError: it is something else.
        """
        text = self.read(name)
        if text is None:
            return None
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UserError(f"{self} is damaged ({name} is no JSON): make it again with `vu index … --overwrite`")
        return found

    def read_bytes(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""
        with _explained(self.uri):
            try:
                with self._files.open_input_file(self._inside(name)) as file:
                    content: bytes = file.read()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return None
        return content

    def write(self, name: str, text: str) -> None:
        """Write or replace a file as a whole."""
        with _explained(self.uri):
            if not self.is_local:
                with self._files.open_output_stream(self._inside(name)) as file:
                    file.write(text.encode())
                return
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
            try:
                partial.write_text(text, encoding="utf-8")
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)

    # ---- folders ----

    def names(self) -> list[str]:
        """What lies directly in this place, sorted; empty where there is no such place."""
        from pyarrow import fs

        with _explained(self.uri):
            try:
                found = self._files.get_file_info(fs.FileSelector(self._inside(), allow_not_found=True))
            except NotADirectoryError:
                return []
        return sorted(info.base_name for info in found)

    def stamps(self) -> tuple[tuple[str, int, int], ...]:
        """Name, bytes and time of change (ns) of each file directly in this place; empty where there is no place."""
        from pyarrow import fs

        with _explained(self.uri):
            try:
                found = self._files.get_file_info(fs.FileSelector(self._inside(), allow_not_found=True))
            except NotADirectoryError:
                return ()
        return tuple(sorted((info.base_name, info.size, info.mtime_ns) for info in found
                            if info.type == fs.FileType.File))

    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        with _explained(self.uri):
            size: int | None = self._files.get_file_info(self._inside(name)).size
        return size

    def remove(self, name: str) -> None:
        """Remove a file or a folder with all that is in it, as far as it is there."""
        from pyarrow import fs

        if self.is_local:
            path = self.path / name
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            return
        with _explained(self.uri):
            inside = self._inside(name)
            if self._files.get_file_info(inside).type == fs.FileType.File:
                self._files.delete_file(inside)
            else:
                with suppress(FileNotFoundError):
                    self._files.delete_dir(inside)

    def put_folder(self, folder: Path, name: str) -> None:
        """Bring a local folder here under `name`, and take it away there; one that is here already stays.

        In a bucket its files come one by one: what depends on them is written after them.
        """
        if self.is_local:
            target = self.path / name
            try:
                os.replace(folder, target)
            except OSError:
                if not target.is_dir():
                    raise
                shutil.rmtree(folder)  # another writer was quicker with the same
            return
        from pyarrow import fs

        with _explained(self.uri):
            fs.copy_files(str(folder), self._inside(name), source_filesystem=fs.LocalFileSystem(),
                          destination_filesystem=self._files)
        shutil.rmtree(folder)

    def local_folder(self, name: str) -> Path:
        """A folder of this place on this machine: itself, or a copy in the cache, made anew where it is incomplete."""
        if self.is_local:
            return self.path / name
        from pyarrow import fs

        copy = _cache() / hashlib.sha256(f"{self.uri}/{name}".encode()).hexdigest()[:16]
        with _explained(self.uri):
            found = self._files.get_file_info(fs.FileSelector(self._inside(name), recursive=True))
            stored = {info.path.removeprefix(self._inside(name) + "/"): info
                      for info in found if info.type == fs.FileType.File}
            for inside, info in stored.items():
                target = copy / inside
                if not target.is_file() or target.stat().st_size != info.size \
                        or target.stat().st_mtime_ns < info.mtime_ns:
                    target.parent.mkdir(parents=True, exist_ok=True)
                    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
                    fs.copy_files(info.path, str(partial), source_filesystem=self._files,
                                  destination_filesystem=fs.LocalFileSystem())
                    os.replace(partial, target)
        return copy

    # ---- tables ----

    def connect(self) -> DBConnection:
        """LanceDB's connection to the tables in this place."""
        import lancedb

        return lancedb.connect(self.uri, storage_options=self.storage_options)

    @property
    def storage_options(self) -> dict[str, str] | None:
        """What Lance is told besides the environment: a server without TLS is refused unless it is meant."""
        return {"allow_http": "true"} if not self.is_local and _endpoint().startswith("http://") else None

    # ---- inside ----

    def _inside(self, name: str = "") -> str:
        whole = self.uri if self.is_local else self.uri.removeprefix(SCHEME)
        return f"{whole}/{name}" if name else whole

    @cached_property
    def _files(self) -> fs.FileSystem:
        from pyarrow import fs

        if self.is_local:
            return fs.LocalFileSystem()
        endpoint = urlsplit(_endpoint())
        with _explained(self.uri):
            if endpoint.netloc:
                return fs.S3FileSystem(endpoint_override=endpoint.netloc, scheme=endpoint.scheme,
                                       region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
                                       or "us-east-1")
            return fs.FileSystem.from_uri(self.uri)[0]


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "vector-universe"


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn what a file system raises into one line; a full disk or a closed folder says so by itself."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise
    except OSError as error:
        if uri.startswith(SCHEME):
            reason = (str(error).splitlines() or ["no answer"])[0][:300]
            raise StorageError(f"{uri} cannot be reached: {reason}") from error
        raise
