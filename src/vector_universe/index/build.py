"""`vu index`: make a universe, bring it up to date, or bring it to another model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vector_universe.data.options import LoadOptions
from vector_universe.data.skipped import skipped_table
from vector_universe.errors import UserError
from vector_universe.index.ingest.embed import Embedder
from vector_universe.index.ingest.finish import finish
from vector_universe.index.ingest.update import Change, update
from vector_universe.index.table import generation as generations
from vector_universe.index.table.column_names import ColumnName, column_names
from vector_universe.index.table.generation import VECTORS, Generation, Vectors
from vector_universe.index.table.item_table import TABLE, ItemTable
from vector_universe.index.table.metadata import column_types, misfit
from vector_universe.index.table.notes import SourceNote, check_notes, copy_note, sources, write_source
from vector_universe.index.table.place import Place
from vector_universe.index.table.rows import SAID, VECTOR_COLUMNS, schema_of
from vector_universe.progress import StageProgress, silent

if TYPE_CHECKING:
    import pyarrow as pa

    from vector_universe.data import ImageTextDataset
    from vector_universe.models import DualEncoder

_SHOWN = 60  # characters of a column's name


@dataclass(frozen=True)
class IndexOptions:
    """How a data set goes into a universe."""

    vectors: Literal["auto", "image", "fused"] = "auto"
    """What stands for an item: its image alone, or image, title and burnt-in text fused; 'auto' is 'fused' for a model
    with a fusion head."""
    overwrite: bool = False
    """Make the universe anew where it is damaged, of an older version, or of another model or other vectors."""
    migrate: bool = False
    """Bring the universe to this model: everything is embedded again beside the old vectors, which stay in use until
    the end."""
    source: str | None = None
    """Name of the data in the universe; unset: the data's own name. Items of other sources are left alone."""
    id_prefix: str = ""
    """Put before every id, for data whose ids are taken by another source."""
    allow_mass_removal: bool = False
    """Take away more than half of a source's items, where the data no longer holds them."""
    redraw_map: bool = False
    """Lay the whole map out again; otherwise new items are placed among the others, which stay where they are."""
    engine: Literal["local", "daft", "ray"] = "local"
    """Embed new images in this process, in several of this machine ("daft"), or on a Ray cluster ("ray")."""
    workers: int | None = None
    """Processes of "daft" and "ray"; unset: one a GPU, or one for 4 cores."""


@dataclass(frozen=True)
class Given:
    """A data set with the way to read it again."""

    dataset: ImageTextDataset
    options: LoadOptions = field(default_factory=LoadOptions)


def bring_up_to_date(model: DualEncoder, given: Given, out: str | Path, options: IndexOptions, *,
                     model_folder: str | None = None, progress: StageProgress | None = None) -> Change:
    """Make the universe `out` hold the data set, embedded by the model.

    A universe that is not there is made; it can be opened once it is complete. One that is there is changed item by
    item; the same call goes on where an earlier one was stopped.

    Raises:
        UserError: `out` holds something else; or a universe of another model or other vectors, and neither `migrate`
            nor `overwrite` is given; or no image is readable; or the model predicts words; or as `ingest.update`.
    """
    from vector_universe.models.load import embedding_texts
    model = embedding_texts(model, "the model")
    if options.vectors not in ("auto", *VECTORS):
        raise UserError(f"vectors is {options.vectors!r}: choose auto, image or fused")
    if options.overwrite and options.migrate:
        raise UserError("--overwrite and --migrate do not go together: --migrate keeps the old vectors in use "
                        "meanwhile")
    progress = progress or silent
    vectors: Vectors = options.vectors if options.vectors != "auto" else "image" if model.fusion is None else "fused"
    root = Place(out)
    generations.claim(root)
    pointer = generations.pointer(root)
    in_use, generation = _generation(root, model, vectors, options, model_folder)
    if in_use is not None:
        generations.remove_older(root, in_use)
    given_to = {_name(given, options): (given, options.id_prefix)}
    if options.migrate and in_use is not None and generation.name != in_use:
        given_to |= _other_sources(root / in_use, given_to)
        copy_note(root / in_use, root / generation.name, "labels")
    change = Change()
    for name, (one, id_prefix) in given_to.items():
        change += _ingest(root, pointer, generation, model, name, one, id_prefix, options, progress)
    table = ItemTable.open(root / generation.name)
    if not table.count():
        reason = f" (the first: {change.skipped[0].file}: {change.skipped[0].reason})" if change.skipped else ""
        if generation.name != in_use:
            root.remove(generation.name)
        raise UserError(f"nothing to index: none of the {len(given.dataset)} images of {given.dataset.name} can be "
                        f"read{reason}")
    finish(table, generation.vectors, model, redraw=options.redraw_map, changed=change.any, progress=progress)
    if generation.name != in_use:
        generations.switch(root, generation.name)
        if options.overwrite:  # nobody wants the old one; after a migration those who have it open may go on
            generations.remove_older(root, generation.name)
    return change


def _generation(root: Place, model: DualEncoder, vectors: Vectors, options: IndexOptions,
                model_folder: str | None) -> tuple[str | None, Generation]:
    """The name of the generation in use, and the generation to write: that one, or one that is to take over."""
    fingerprint = model.fingerprint()
    in_use = facts = None
    try:
        in_use = generations.current(root)
        facts = None if in_use is None else generations.read(root, in_use)
        if facts is not None:
            ItemTable.open(root / facts.name)
            if options.overwrite:
                _verify(root, facts)
    except UserError:
        if not options.overwrite:  # damaged or of another format: that is what overwriting mends
            raise
        in_use = facts = None
    if facts is not None:
        differences = facts.differences(fingerprint, vectors)
        if not differences:
            return in_use, generations.renew_calibration(root, facts, model)
        if not options.overwrite and not options.migrate:
            raise UserError(f"{root} is a universe of {' and '.join(differences)}: bring it to this one with "
                            "--migrate, or give --out another folder")
    begun = generations.unfinished(root, in_use, fingerprint, vectors)
    if begun is not None and options.overwrite and not _is_sound(root, begun):
        begun = None
    if begun is None or not generations.has_whole_copy(root, begun):
        dimension = model.embed_texts(["a picture"]).shape[1]
        begun = generations.begin(root, model, vectors, dimension, model_folder, begun.name if begun else None)
    return in_use, begun


def _ingest(root: Place, pointer: bytes | None, generation: Generation, model: DualEncoder, name: str, given: Given,
            id_prefix: str, options: IndexOptions, progress: StageProgress) -> Change:
    dataset = given.dataset
    place = root / generation.name
    types = column_types(dataset)
    there = ItemTable.open(place).metadata if f"{TABLE}.lance" in place.names() else {}
    before = sources(place).get(name)
    names = column_names(types, there, before.columns if before else None)
    columns = {found.name: found.column for found in names}
    wanted = {columns[key]: type for key, type in types.items()}
    table = ItemTable.create(place, schema_of(generation.dimension, wanted))
    table.add_columns(wanted)
    embedder = Embedder(model, table.schema, name, generation.vectors, columns, id_prefix)

    def still_in_use() -> None:
        if generations.was_moved(root, pointer, generation.name):
            raise UserError(f"{root} was brought to another model meanwhile: run the same command again")

    embed_new = None
    if options.engine != "local":
        from vector_universe.index.scale.engine import embed_at_scale

        embed_new = partial(embed_at_scale, place, generation, table, dataset, source=name, columns=columns,
                            id_prefix=id_prefix, engine=options.engine, workers=options.workers,
                            still_in_use=still_in_use, progress=progress)
    change = update(table, embedder, dataset, allow_mass_removal=options.allow_mass_removal or options.overwrite,
                    still_in_use=still_in_use, progress=progress, embed_new=embed_new)
    skipped = (*dataset.skipped, *change.skipped)
    change.skipped = list(skipped)
    change.remarks = _remarks(names, wanted, table)
    location = str(Path(dataset.source).absolute()) if Path(dataset.source).exists() else dataset.source
    write_source(place, SourceNote(name, location, asdict(given.options), dataset.attribution, id_prefix, skipped,
                                   columns={found.name: found.column for found in names if found.why}))
    place.write("skipped.csv", skipped_table([row for source in sources(place).values() for row in source.skipped]))
    return change


def _remarks(names: Iterable[ColumnName], wanted: Mapping[str, pa.DataType], table: ItemTable) -> list[str]:
    """Lines on columns that are stored under another name, and on values that do not fit the table's columns."""
    lines = [f"the column {_short(found.name)} is stored as {_short(found.column)}: {found.why}"
             for found in names if found.why]
    misfits = {column: misfit(type, table.metadata[column]) for column, type in wanted.items()}
    return lines + [f"the column {_short(column)} holds {why}; give --out a new folder to make the column anew"
                    for column, why in misfits.items() if why]


def _short(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"


def _other_sources(place: Place, given: dict[str, tuple[Given, str]]) -> dict[str, tuple[Given, str]]:
    """The sources of a universe that were not given again, read from where they were."""
    from vector_universe.data import load_dataset

    found = {}
    for name, source in sources(place).items():
        if name not in given:
            said: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                                    for key, value in source.options.items()}
            options = LoadOptions(**said)
            found[name] = (Given(load_dataset(source.location, options), options), source.id_prefix)
    return found


def _name(given: Given, options: IndexOptions) -> str:
    return options.source or given.dataset.name


def _is_sound(root: Place, facts: Generation) -> bool:
    if f"{TABLE}.lance" not in (root / facts.name).names():
        return True  # stopped before the first commit
    try:
        _verify(root, facts)
    except UserError:
        return False
    return True


def _verify(root: Place, facts: Generation) -> None:
    """Read everything once; a damaged universe is not worth bringing up to date."""
    generations.check_copy(root, facts)
    check_notes(root / facts.name)
    table = ItemTable.open(root / facts.name)
    for column in VECTOR_COLUMNS:
        table.vectors(column)
    table.take(table.row_ids(None).tolist(), [*SAID, *table.metadata])
