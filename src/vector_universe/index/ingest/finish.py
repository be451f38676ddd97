"""What a table needs once its items are there: their places on the map, topics, labels, and indices for searching."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from vector_universe.index.ingest.examples import example_queries
from vector_universe.index.labels.labelling import NOTE, Labelling, label_columns
from vector_universe.index.map.projection import place_new, project
from vector_universe.index.map.topics import Topics, find_topics
from vector_universe.index.search.approximate import build_vector_index
from vector_universe.index.search.neighbours import EXACT_UP_TO, unit
from vector_universe.index.search.recall import measure_recall, sample_queries
from vector_universe.index.table.full_text import WORDS, create_text_index
from vector_universe.index.table.item_table import ItemTable
from vector_universe.index.table.notes import FOLDER, read_note, write_note
from vector_universe.index.table.rows import VECTOR_COLUMNS
from vector_universe.progress import StageProgress

if TYPE_CHECKING:
    from vector_universe.index.table.generation import Vectors
    from vector_universe.models import DualEncoder

_QUERIES = 200  # of each kind, to measure recall with
_SEED = 0
_NEW_AT_MOST = 0.2  # share of a column's vectors that came since it was indexed and measured


def finish(table: ItemTable, vectors: Vectors, model: DualEncoder, *, redraw: bool, changed: bool,
           progress: StageProgress) -> None:
    """Place, sort and label what is new, and bring the indices up to date.

    Args:
        table: of a generation; written to.
        vectors: the column that the map and the topics are of.
        model: labels new items, where the universe has been labelled.
        redraw: lay out the whole map again, with new topics.
        changed: whether items have come, gone or changed; if not, only what is missing is made.
        progress: called with (stage, done, total).
    """
    table.refresh()
    _derive(table, vectors, model, redraw, progress)
    progress("building the indices", 0, 3)
    if changed or read_note(table.place, "about") is None:
        words = table.scan(["title", "labels"])
        write_note(table.place, "about", {"examples": example_queries(words["title"].to_pylist(),
                                                                      words["labels"].to_pylist())})
    if WORDS not in _indexed(table):
        create_text_index(table.lance)
    progress("building the indices", 1, 3)
    if changed or _has_unindexed(table):  # a row of which one column is written anew leaves every index
        table.optimize()
    progress("building the indices", 2, 3)
    _index_vectors(table, progress)
    progress("building the indices", 3, 3)


def _derive(table: ItemTable, vectors: Vectors, model: DualEncoder, redraw: bool, progress: StageProgress) -> None:
    """Write x, y, topic and predicted label where they are missing; all of them with a new map."""
    rows = table.scan(["id", "x", "y", "texts", "labels"], row_ids=True)
    placed_N = rows["x"].is_valid().to_numpy()
    topics_note = read_note(table.place, "topics")
    drawn = read_note(table.place, "map")
    anew = redraw or not placed_N.any() or topics_note is None or drawn is None
    if placed_N.all() and not anew:
        return
    progress("drawing the map", 0, 1)
    _, half_ND = table.vectors(vectors)
    vectors_ND = unit(half_ND)
    positions_N2 = np.stack([rows["x"].to_numpy(), rows["y"].to_numpy()], axis=1).astype(np.float32)
    if anew:
        table.place.remove(f"{FOLDER}/map.json")  # until places and topics agree again
        order = np.argsort(np.array(rows["id"].to_pylist(), object))  # the map of some items is one, however they came
        positions_N2[order] = project(vectors_ND[order])
        topics, numbers_N = find_topics(vectors_ND, positions_N2, rows["texts"].to_pylist(),
                                        rows["labels"].to_pylist())
        write_note(table.place, "topics", json.loads(topics.to_json()))
        new_N = np.ones(len(rows), bool)
    else:
        new_N = ~placed_N
        positions_N2[new_N] = place_new(vectors_ND[new_N], vectors_ND[placed_N], positions_N2[placed_N])
        numbers_N = np.zeros(len(rows), np.int32)
        numbers_N[new_N] = Topics.from_json(json.dumps(topics_note)).assign(vectors_ND[new_N])
    columns: dict[str, Any] = {"x": positions_N2[new_N, 0], "y": positions_N2[new_N, 1],
                               "topic": numbers_N[new_N].astype(np.int32)}
    labels_note = read_note(table.place, NOTE)
    if labels_note is not None:
        images_ND = vectors_ND if vectors == "image" else unit(table.vectors("image")[1])
        columns |= label_columns(model, images_ND[new_N], Labelling.from_json(labels_note))
    table.merge_columns(rows["id"].filter(new_N), columns)
    if anew:
        write_note(table.place, "map", {"drawn": len(rows)})
    progress("drawing the map", 1, 1)


def _index_vectors(table: ItemTable, progress: StageProgress) -> None:
    """Index the columns with too many vectors to compare them all; anew once a fifth of them has come since."""
    indexed = _indexed(table)
    for column in VECTOR_COLUMNS:
        count = table.count(f"`{column}` IS NOT NULL")
        note = read_note(table.place, f"recall-{column}")
        is_fresh = column in indexed and note is not None and count - note["items"] <= _NEW_AT_MOST * count
        if count <= EXACT_UP_TO or is_fresh:
            continue
        build_vector_index(table.lance, column, progress)
        images = "image" if column == "text" else column
        images_QD, texts_QD = sample_queries(table.lance, images, "text", _QUERIES, _SEED)
        measured = measure_recall(table.lance, column, images_QD, texts_QD, progress=progress)
        write_note(table.place, f"recall-{column}", {"items": count, "measured": json.loads(measured.to_json())})


def _indexed(table: ItemTable) -> set[str]:
    return {column for index in table.lance.list_indices() for column in index.columns}


def _has_unindexed(table: ItemTable) -> bool:
    stats = [table.lance.index_stats(index.name) for index in table.lance.list_indices()]
    return any(found is not None and found.num_unindexed_rows for found in stats)
