"""What the API says of a universe as a whole."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from vector_universe.index.search.filters import kind_of
from vector_universe.index.table.rows import VECTOR_COLUMNS
from vector_universe.serve.api.answers import (
    ColumnAnswer,
    InfoAnswer,
    LabelAnswer,
    OtherAnswer,
    TopicAnswer,
    TopicsAnswer,
)

if TYPE_CHECKING:
    from vector_universe.index import Universe
    from vector_universe.index.map.topics import Topics
    from vector_universe.serve.served.compare import OtherSide
    from vector_universe.serve.served.snapshot import Snapshot


def info(snapshot: Snapshot) -> InfoAnswer:
    """Name, size, labels, topics and columns of a universe, and what its model can say."""
    universe = snapshot.universe
    return InfoAnswer(
        name=universe.name, count=len(snapshot), dimension=universe.generation.dimension,
        vectors=universe.generation.vectors,
        columns_of_vectors=[name for name in VECTOR_COLUMNS if universe.table.count(f"`{name}` IS NOT NULL")],
        version=snapshot.version, product_version=version("vector-universe"), attribution=universe.attribution,
        examples=universe.examples,
        labels=[LabelAnswer(name=name, count=count)
                for name, count in zip(snapshot.label_names, snapshot.label_counts, strict=True)],
        topics=topics(snapshot.topics), columns=_columns(universe), calibrated=universe.says_probabilities,
        recall=universe.recall(), remark=universe.remark_on_map(), model=model_name(universe),
        other=None if snapshot.other is None else _other(snapshot.other))


def _other(found: OtherSide) -> OtherAnswer:
    universe = found.there.universe
    return OtherAnswer(name=universe.name, model=model_name(universe), topics=topics(found.topics),
                       calibrated=universe.says_probabilities, shared=found.shared, kept=round(found.kept, 4))


def topics(found: Topics | None) -> TopicsAnswer | None:
    """Topics of both levels with their places on the map."""
    if found is None:
        return None
    return TopicsAnswer(
        fine=[TopicAnswer(name=name, share=share, size=size, x=x, y=y) for name, share, size, (x, y) in zip(
            found.names, found.shares, found.sizes, found.positions_K2.tolist(), strict=True)],
        coarse=[TopicAnswer(name=name, share=share, size=size, x=x, y=y) for name, share, size, (x, y) in zip(
            found.coarse_names, found.coarse_shares, found.coarse_sizes, found.coarse_positions_C2.tolist(),
            strict=True)],
        parents=list(found.parents))


def model_name(universe: Universe) -> str:
    """For people: where the model came from, and the beginning of its fingerprint."""
    generation = universe.generation
    came_from = (generation.model_folder or "").rstrip("/").rpartition("/")[2]
    return " ".join([came_from, generation.model_fingerprint[:12]]).strip()


def _columns(universe: Universe) -> list[ColumnAnswer]:
    """The data's own columns, then those of ours in which something stands to choose by."""
    table = universe.table
    names = list(table.metadata)
    names += ["source"] if len(universe.sources) > 1 else []
    names += [name for name in ("split", "ocr") if table.count(f"{name} != ''")]
    names += [name for name in ("predicted_label", "predicted_probability") if table.count(f"{name} IS NOT NULL")]
    kinds = {name: kind_of(table.schema.field(name).type) for name in names if "`" not in name}
    return [ColumnAnswer(name=name, kind=kind) for name, kind in kinds.items() if kind is not None]
