"""The Lance table of a universe: opened at one version, read by row, written by whole commits."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vector_universe.errors import StorageError, UserError
from vector_universe.index.table.place import Place
from vector_universe.index.table.rows import (
    SAID,
    VectorColumn,
    metadata_columns,
    said_sum,
    sum_of,
    vector_sums,
)

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb.table import Table

TABLE = "items"
_IDS_AT_ONCE = 500
_ATTEMPTS = 12  # of a commit that another writer was quicker than
_KEPT = timedelta(days=1)  # how long readers may go on with an old version
Result = TypeVar("Result")


class ItemTable:
    """The table of one generation.

    Reading never moves on to a later version by itself: call `refresh`. Writing commits whole or not at all, and is
    tried again where another writer has committed in between.
    """

    _schema: pa.Schema | None
    _held: pa.Table | None

    def __init__(self, table: Table, place: Place) -> None:
        self.lance = table
        self.place = place
        self._forget()

    @classmethod
    def create(cls, place: Place, schema: pa.Schema) -> ItemTable:
        """The table in `place`, made with these columns where there is none."""
        if f"{TABLE}.lance" in place.names():
            return cls.open(place)
        with explained(place):
            return cls(place.connect().create_table(TABLE, schema=schema, exist_ok=True), place)

    @classmethod
    def open(cls, place: Place) -> ItemTable:
        """The table in `place`, at its latest version.

        Raises:
            UserError: there is none, or it cannot be read.
        """
        if f"{TABLE}.lance" not in place.names():
            raise UserError(f"{place} is incomplete: its table {TABLE}.lance is missing; make it again with "
                            "`vu index … --overwrite`")
        with explained(place):
            return cls(place.connect().open_table(TABLE), place)

    # ---- reading ----

    def refresh(self) -> None:
        """Move on to the latest version."""
        with explained(self.place):
            self.lance.checkout_latest()
        self._forget()

    @property
    def schema(self) -> pa.Schema:
        """Its columns."""
        if self._schema is None:
            self._schema = self.lance.schema
        return self._schema

    def hold(self, columns: Sequence[str]) -> None:
        """Keep these columns of all items in memory, as of this version: `take` finds a row in them at once, which from
        the disk costs some ten milliseconds."""
        self._held = self.scan([*columns, "said_sum"], row_ids=True).combine_chunks()

    def commits(self) -> tuple[tuple[str, int, int], ...]:
        """What changes with every commit of any writer: name, bytes and time (ns) of each version's manifest."""
        return commits(self.place)

    def count(self, where: str | None = None) -> int:
        """How many items there are, or pass a filter of `filters.to_sql`."""
        with explained(self.place):
            return int(self.lance.count_rows(where))

    def scan(self, columns: Sequence[str], where: str | None = None, row_ids: bool = False) -> pa.Table:
        """Columns of all items, or of those that pass a filter, in the order of writing; `_rowid` is Lance's row id."""
        with explained(self.place):
            query = self.lance.search().select(list(columns)).with_row_id(True)
            found = (query.where(where) if where else query).to_arrow().sort_by("_rowid")
        return found if row_ids else found.drop_columns(["_rowid"])

    def take(self, row_ids: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Rows by Lance's row ids, in this order.

        Raises:
            UserError: a row is not what was written.
        """
        if not len(row_ids):
            return []
        own = list(self.metadata)
        check = {*SAID, *own} <= set(columns)  # one sum is of them all
        with explained(self.place):
            # Lance returns each row once, in its own order.
            found = self._rows(sorted({int(row) for row in row_ids}), [*columns, *(["said_sum"] if check else [])])
            rows = {row.pop("_rowid"): row for row in found.to_pylist()}
            rows = {row_id: rows[row_id] for row_id in map(int, row_ids)}
        if check:
            for row in rows.values():
                if row.pop("said_sum") != said_sum(row, own):
                    raise damaged(self.place, f"the words of an item ({row['id']!r}) are not what was written")
        return [rows[int(row_id)] for row_id in row_ids]

    def _rows(self, row_ids: list[int], columns: list[str]) -> pa.Table:
        """Columns of some rows, and their row ids; from memory where they are held."""
        if self._held is not None and set(columns) <= set(self._held.schema.names):
            places = np.searchsorted(self._held["_rowid"].to_numpy(), row_ids)
            return self._held.select([*columns, "_rowid"]).take(np.minimum(places, len(self._held) - 1))
        return self.lance.take_row_ids(row_ids).select(columns).with_row_id().to_arrow()

    def row_id(self, id: str) -> int | None:
        """Lance's row id of an item; None where there is none of this name."""
        from lancedb.expr import col, lit

        with explained(self.place):
            found = self.lance.search().where(col("id") == lit(id)).select(["id"]).with_row_id(True).to_arrow()
        return int(found["_rowid"][0].as_py()) if len(found) else None

    def rows_of(self, ids: Sequence[str], columns: Sequence[str]) -> list[dict[str, Any]]:
        """Rows by their ids, in any order; those that are not there are left out."""
        from lancedb.expr import col

        with explained(self.place):
            return [row for start in range(0, len(ids), _IDS_AT_ONCE) for row in
                    self.lance.search().where(col("id").isin(list(ids[start:start + _IDS_AT_ONCE])))
                    .select(list(columns)).to_list()]

    def row_ids(self, where: str | None) -> NDArray[np.int64]:
        """Lance's row ids of the items that pass a filter, ascending."""
        return self.scan([], where, row_ids=True)["_rowid"].to_numpy().astype(np.int64)

    def vectors(self, column: VectorColumn, row_ids: Sequence[int] | None = None) \
            -> tuple[NDArray[np.int64], NDArray[np.float16]]:
        """Row ids (M,) ascending and vectors (M, D) of the items that have one in this column; all, or of some rows.

        Raises:
            UserError: a vector is not what was written.
        """
        wanted = [column, sum_of(column)]
        with explained(self.place):
            if row_ids is None:
                found = self.lance.search().where(f"`{column}` IS NOT NULL").select(wanted).with_row_id(True).to_arrow()
            else:
                found = self.lance.take_row_ids(sorted({int(row) for row in row_ids})).select(
                    wanted).with_row_id().to_arrow()
                found = found.filter(found[column].is_valid())
            found = found.sort_by("_rowid").combine_chunks()
            dimension = found.schema.field(column).type.list_size
            flat = found[column].combine_chunks() if len(found) else None
            rows_ND = (np.zeros((0, dimension), np.float16) if flat is None
                       else flat.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension))
        if not np.array_equal(vector_sums(rows_ND), found[sum_of(column)].to_numpy()):
            raise damaged(self.place, f"vectors of the column {column!r} are not what was written")
        return found["_rowid"].to_numpy().astype(np.int64), rows_ND

    @property
    def metadata(self) -> dict[str, pa.DataType]:
        """The data's own columns."""
        return metadata_columns(self.schema)

    # ---- writing ----

    def merge(self, rows: pa.Table) -> None:
        """Write rows by their id, as one commit: those that are there are replaced, in the columns given; new ones are
        added if all columns are given."""
        whole = set(rows.schema.names) >= set(self.schema.names)

        def write() -> None:
            merge = self.lance.merge_insert("id").when_matched_update_all()
            # a vector may be missing: without a title there is none of it
            (merge.when_not_matched_insert_all() if whole else merge).execute(rows, on_bad_vectors="null")

        self.commit(write)

    def merge_columns(self, ids: Sequence[str] | pa.ChunkedArray, columns: Mapping[str, Any]) -> None:
        """Write some columns of items as one commit, by the items' ids."""
        import pyarrow as pa

        fields = [self.schema.field(name) for name in ("id", *columns)]
        ids = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else pa.array(ids, pa.string())
        arrays = [ids, *(pa.array(values, field.type)
                         for values, field in zip(columns.values(), fields[1:], strict=True))]
        self.merge(pa.Table.from_arrays(arrays, schema=pa.schema(fields)))

    def delete(self, ids: Sequence[str]) -> None:
        """Take items away."""
        from lancedb.expr import col

        for start in range(0, len(ids), _IDS_AT_ONCE):
            self.commit(partial(self.lance.delete, col("id").isin(list(ids[start:start + _IDS_AT_ONCE])).to_sql()))

    def add_columns(self, types: dict[str, pa.DataType]) -> None:
        """Add metadata columns, null in the items that are there."""
        import pyarrow as pa

        new = [pa.field(name, type) for name, type in types.items() if name not in self.schema.names]
        if new:
            self.commit(lambda: self.lance.add_columns(pa.schema(new)))

    def optimize(self) -> None:
        """Bring new rows into the indices, join small files, and drop versions of more than a day ago."""
        self.commit(lambda: self.lance.optimize(cleanup_older_than=_KEPT))

    def commit(self, write: Callable[[], Result]) -> Result:
        """Call `write` until no other writer was quicker.

        Raises:
            UserError: the disk is full or the table cannot be written; it is as it was.
        """
        self._forget()
        with explained(self.place):
            for attempt in range(_ATTEMPTS):
                try:
                    return write()
                except (OSError, RuntimeError, ValueError) as error:
                    if "conflict" not in str(error).lower() or attempt == _ATTEMPTS - 1:
                        raise
                time.sleep(random.uniform(0.05, 0.2) * (attempt + 1))
                self.lance.checkout_latest()
        raise AssertionError("unreachable")

    def _forget(self) -> None:
        """What is known of this version is not of the next."""
        self._schema = self._held = None


def commits(place: Place) -> tuple[tuple[str, int, int], ...]:
    """As `ItemTable.commits`, of the table in a place, without opening it; empty where there is none."""
    return (place / f"{TABLE}.lance" / "_versions").stamps()


def damaged(place: Place, what: str) -> StorageError:
    """The error for files that were changed behind our back."""
    return StorageError(f"{place} is damaged: {what}; make it again with `vu index … --overwrite`")


@contextmanager
def explained(place: Place) -> Iterator[None]:
    """Turn what Lance raises into one line that says what to do."""
    try:
        yield
    except UserError:
        raise
    except (OSError, RuntimeError, ValueError, KeyError, IndexError) as error:
        raise _in_words(place, error) from error
    except BaseException as error:
        if not is_panic(error):
            raise
        raise _in_words(place, error) from error


def is_panic(error: BaseException) -> bool:
    """Whether Rust gave up in Lance's midst, as it does on a file that makes no sense."""
    return type(error).__name__ in ("PanicException", "RustPanic")


def _in_words(place: Place, error: BaseException) -> StorageError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    if "No space left" in str(error) or "StorageFull" in str(error) or "File too large" in str(error):
        return StorageError(f"{place} cannot be written, the disk is full; what was committed before is kept: make "
                            "room and run the same command again")
    if "Permission denied" in str(error) or "Read-only file system" in str(error):
        return StorageError(f"{place} cannot be written: permission denied")
    if not place.is_local and any(word in str(error) for word in ("error sending request", "Generic S3", "NoSuchBucket",
                                                                 "AccessDenied", "timed out")):
        return StorageError(f"{place} cannot be reached: {reason[:300]}")
    return StorageError(f"the table {TABLE}.lance in {place} cannot be read ({reason[:200]}); make it again with "
                        "`vu index … --overwrite`")
