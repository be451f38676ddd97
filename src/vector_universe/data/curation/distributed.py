"""The same selection on Daft (extra `scale`): on one machine, or on a Ray cluster with shards in an object store.

Pairs are matched where they lie. Then they propose to their queries, fewest matches first, in rounds: a query with more
than N proposals keeps the N of the lowest ranks, and its threshold falls to the last of these; whoever is above it goes
on to its next query. When no query has too many, the thresholds are those of `selection` (the one stable matching).
What travels to the driver is a count and a threshold a query, never a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from vector_universe.data.curation.config import CurationConfig
from vector_universe.data.curation.match_shards import matches_of
from vector_universe.data.curation.matching import Matcher
from vector_universe.data.curation.pairs import KEY
from vector_universe.data.curation.runs import Matches
from vector_universe.data.curation.selection import Selection, charges
from vector_universe.data.curation.shards import Columns
from vector_universe.data.curation.write_kept import QUERY
from vector_universe.errors import UserError

if TYPE_CHECKING:
    from daft import DataFrame

_FOUND = pa.struct([("high", pa.uint64()), ("low", pa.uint64()), ("queries", pa.large_list(pa.int32()))])


def curate_frame(frame: DataFrame, queries: Sequence[str], columns: Columns, config: CurationConfig) -> DataFrame:
    """The kept rows of a Daft frame with `query`, the query that each is charged to: those that `curate` keeps.

    Args:
        frame: any Daft source, in any partitions.
        queries: normalised and sorted, as `read_queries` gives them.
        columns: which columns hold what.
        config: its `cap`, `substring` and `seed` count here.

    Raises:
        UserError: Daft is not installed.
    """
    try:
        import daft
    except ImportError:
        raise UserError("Daft is not installed: pip install 'vector-universe[scale]'") from None
    config.check()
    names = [name for name in frame.column_names if name != QUERY]
    pairs = _once(_matched(frame, queries, columns, config)).collect()
    counts = np.zeros(len(queries), np.int64)
    asked = pairs.select(_col("_queries").explode().alias("_choice"))
    for number, count in _rows(asked.groupby("_choice").agg(_col("_choice").count().alias("_n")), "_choice", "_n"):
        counts[number] = count
    thresholds = Selection.start(counts, config.cap).thresholds
    while _tighten(pairs, counts, thresholds, config.cap):
        pass
    texts = pa.array(queries, pa.large_string())

    @daft.udf(return_dtype=daft.DataType.string())
    def query_of(high: Any, low: Any, found: Any) -> Any:
        chosen = charges(_matches(high, low, found), counts, thresholds)
        return texts.take(pa.array(chosen, mask=chosen < 0))

    named = pairs.with_column(QUERY, query_of(_col("_high"), _col("_low"), _col("_queries")))
    return named.where(_col(QUERY).not_null()).select(*names, QUERY)


def _matched(frame: DataFrame, queries: Sequence[str], columns: Columns, config: CurationConfig) -> DataFrame:
    """Rows that match, with _high, _low (the key) and _queries."""
    import daft

    @daft.udf(return_dtype=daft.DataType.from_arrow_type(_FOUND))
    class Match:
        def __init__(self) -> None:  # once a worker
            self.matcher = Matcher(queries, config.substring)

        def __call__(self, *series: Any) -> Any:
            batch = pa.RecordBatch.from_arrays([_plain(one.to_arrow()) for one in series], names=columns.used)
            found = matches_of(batch, columns, self.matcher, config.seed)
            lengths = np.zeros(len(batch), np.int64)
            lengths[found.rows] = np.diff(found.starts)
            keys = np.zeros(len(batch), KEY)
            keys[found.rows] = found.keys
            lists = pa.LargeListArray.from_arrays(pa.array(np.concatenate(([0], np.cumsum(lengths)))),
                                                  pa.array(found.queries))
            return pa.StructArray.from_arrays([pa.array(keys["high"]), pa.array(keys["low"]), lists],
                                              fields=list(_FOUND))

    match: Any = Match
    found = frame.with_column("_found", match(*(_col(name) for name in columns.used)))
    parts = {f"_{part}": _col("_found").get(part) for part in ("high", "low", "queries")}
    return found.with_columns(parts).exclude("_found").where(_col("_queries").length() > 0)


def _once(pairs: DataFrame) -> DataFrame:
    """Of rows with one key, that whose queries come first."""
    import daft
    from daft import Window
    from daft.functions import row_number

    @daft.udf(return_dtype=daft.DataType.string())
    def spelled(found: Any) -> Any:
        return ["".join(f"{query:08x}" for query in queries) for queries in found.to_pylist()]

    one = Window().partition_by("_high", "_low").order_by("_spelled")
    numbered = pairs.with_column("_spelled", spelled(_col("_queries"))).with_column("_copy", row_number().over(one))
    return numbered.where(_col("_copy") == 1).exclude("_spelled", "_copy")


def _tighten(pairs: DataFrame, counts: np.ndarray, thresholds: np.ndarray, cap: int) -> bool:
    """One round; whether a query had too many proposals."""
    import daft
    from daft import Window
    from daft.functions import row_number

    @daft.udf(return_dtype=daft.DataType.int64())
    def choose(high: Any, low: Any, found: Any) -> Any:
        chosen = charges(_matches(high, low, found), counts, thresholds)
        return pa.array(np.where((chosen >= 0) & (counts[chosen] > cap), chosen, -1))

    chosen = pairs.select("_high", "_low", choose(_col("_high"), _col("_low"), _col("_queries")).alias("_choice"))
    by_rank = Window().partition_by("_choice").order_by("_high", "_low")
    ranked = chosen.where(_col("_choice") >= 0).with_column("_rank", row_number().over(by_rank))
    edge = ranked.where((_col("_rank") == cap) | (_col("_rank") == cap + 1))
    too_many = False
    for number, rank, high, low in _rows(edge, "_choice", "_rank", "_high", "_low"):
        if rank == cap:
            thresholds[number] = (high, low)
        else:
            too_many = True
    return too_many


def _matches(high: Any, low: Any, found: Any) -> Matches:
    lists = _plain(found.to_arrow())
    keys = np.zeros(len(lists), KEY)
    keys["high"], keys["low"] = (_plain(part.to_arrow()).to_numpy() for part in (high, low))
    starts = lists.offsets.to_numpy()
    return Matches(keys, np.arange(len(lists), dtype=np.uint32), starts - starts[0], lists.flatten().to_numpy())


def _col(name: str) -> Any:
    from daft import col
    return col(name)


def _plain(array: Any) -> Any:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _rows(frame: DataFrame, *names: str) -> Any:
    found = frame.to_pydict()
    return zip(*(found[name] for name in names), strict=True)
