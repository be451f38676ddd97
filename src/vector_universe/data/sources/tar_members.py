"""Tar files by their headers alone: where each member lies, without unpacking or copying one."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vector_universe.data.images import FileSlice
from vector_universe.errors import UserError

BROKEN = "truncated or damaged: nothing behind the last whole file can be read"

_PACKED = {b"\x1f\x8b": "gzip -d", b"BZh": "bzip2 -d", b"\xfd7zXZ": "xz -d", b"\x28\xb5\x2f\xfd": "zstd -d"}
_PACKED_NAME = re.compile(r"\.(tar\.\w+|tgz|tbz2?|txz|tzst)$", re.IGNORECASE)


@dataclass(frozen=True)
class TarMember:
    """A regular file in a tar: its name, which is never used as a path, and where its bytes lie."""

    name: str
    place: FileSlice


class TruncatedTar(Exception):
    """The tar ends within a member, or is damaged; `name` is that member's, "" if the damage hit its header."""

    def __init__(self, reason: str, name: str = "") -> None:
        super().__init__(reason)
        self.name = name


def refuse_packed(path: Path) -> None:
    """Raises UserError if a tar is compressed: nothing in it could be reached without unpacking all before it."""
    with path.open("rb") as file:
        start = file.read(8)
    for magic, unpack in _PACKED.items():
        if start.startswith(magic):
            raise UserError(f"{path} is compressed, and images in it cannot be read one by one: unpack it first "
                            f"({unpack} {path.name})")


def is_packed_name(path: Path) -> bool:
    """Whether a file calls itself a compressed tar."""
    return _PACKED_NAME.search(path.name) is not None


def tar_members(path: Path, left_out: Callable[[str], None]) -> Iterator[TarMember]:
    """The regular files in a tar, in its order; of links, devices and sparse files `left_out` is told the names.

    Raises:
        TruncatedTar: after the last whole member.
    """
    size, first, place = path.stat().st_size, True, os.path.abspath(path)
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                first = False
                tar.members = []  # type: ignore[attr-defined]  # it would keep every header that it ever saw
                if not member.isreg() or member.issparse():
                    if not member.isdir():
                        left_out(member.name)
                    continue
                if member.offset_data + member.size > size:
                    raise TruncatedTar("truncated: the tar ends within it", member.name)
                yield TarMember(member.name, FileSlice(place, member.offset_data, member.size))
            file.seek(tar.offset)
            if file.read(tarfile.BLOCKSIZE).strip(b"\0"):  # `next` takes half a header for the end
                raise TruncatedTar(BROKEN)
    except (tarfile.TarError, ValueError) as error:
        raise TruncatedTar("not a tar file" if first else f"{BROKEN} ({error})") from None
