"""`vu index`, `vu search` and `vu label`: make a universe, look for things in it, give its items labels."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from vector_universe.cli.data import Options, Source, read_data
from vector_universe.cli.say import say
from vector_universe.data.options import LoadOptions
from vector_universe.errors import UserError
from vector_universe.printable import printable, printable_json, printable_lines

if TYPE_CHECKING:
    from vector_universe.data import ImageTextDataset
    from vector_universe.index import Matches
    from vector_universe.index.search.query import Query
    from vector_universe.models import DualEncoder

_SHOWN_OCR = 80  # characters of burnt-in text in a table
Universe = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="UNIVERSE")]
Condition = tuple[str, Literal["=", "!=", "<", "<=", ">", ">="], str]


@dataclass(frozen=True)
class Index:
    """Embed images with a trained model into a universe: searchable, with a map. A second call embeds what is new."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """What `vu train` wrote, or a pretrained CLIP or SigLIP: a folder or a hub name."""
    data: Source
    """The images to index."""
    out: str
    """Folder of the universe, or s3://bucket/folder; one that is there is brought up to date with the data."""
    vectors: Literal["auto", "image", "fused"] = "auto"
    """What stands for an item: its image alone, or image, title and burnt-in text fused; 'auto' is 'fused' for a model
    with a fusion head."""
    migrate: bool = False
    """Bring the universe to this model: everything is embedded again while the old vectors stay in use, then switched;
    other sources of the universe are read again from where they were."""
    overwrite: bool = False
    """Make the universe anew where it is damaged, of an older version, or of another model or other vectors."""
    watch: bool = False
    """Stay, and bring the universe up to date whenever the data's folder changes; Ctrl-C stops."""
    source: str | None = None
    """Name of this data in the universe, which may hold several; unset: the data's own name."""
    id_prefix: str = ""
    """Put before every id, where another source has the same ids."""
    allow_mass_removal: bool = False
    """Take away more than half of a source's items, when the data no longer holds them."""
    redraw_map: bool = False
    """Lay the whole map out again; otherwise new items are placed among the others, which stay where they are."""
    engine: Literal["local", "daft", "ray"] = "local"
    """'daft' embeds new images in several processes of this machine, 'ray' on the cluster of RAY_ADDRESS; both need the
    extra 'scale'. See docs/scale.md."""
    workers: int | None = None
    """Processes of --engine daft and ray; unset: one a GPU, or one for 4 cores."""
    ocr: bool = False
    """Read the text burnt into the images and keep it with them; needs the extra 'ocr'."""
    exact_decoding: bool = False
    """Decode every pixel of large pictures, which is slower and hardly differs; queries of the universe do so too."""
    load: Options = field(default_factory=LoadOptions)

    def run(self) -> None:
        from vector_universe.models import load_run_model
        if self.watch and not Path(self.data).exists():
            raise UserError(f"--watch follows a folder or a file of this machine, and {self.data} is none")
        model = load_run_model(self.model)
        model.config.image_exact |= self.exact_decoding
        self._update(model)
        if self.watch:
            from vector_universe.index.ingest.watch import watch
            say(f"watching {self.data} (Ctrl-C stops)")
            watch(Path(self.data), lambda: self._try_update(model))
        else:
            say(f"next: vu search {self.out} \"…\", or vu serve {self.out}")

    def _update(self, model: DualEncoder) -> None:
        from vector_universe.index import Universe as Opened
        from vector_universe.index.build import Given, IndexOptions, bring_up_to_date
        from vector_universe.progress import stages
        options = IndexOptions(vectors=self.vectors, overwrite=self.overwrite, migrate=self.migrate,
                               source=self.source, id_prefix=self.id_prefix,
                               allow_mass_removal=self.allow_mass_removal, redraw_map=self.redraw_map,
                               engine=self.engine, workers=self.workers)
        given = Given(self._read(), self.load)
        with stages() as progress:
            change = bring_up_to_date(model, given, self.out, options, model_folder=self.model, progress=progress)
        for line in (change.describe(), *change.remarks):
            say(line)
        universe = Opened.open(self.out, model)
        say(universe.describe())
        if remark := universe.remark_on_map():
            say(f"{remark}: --redraw-map")

    def _try_update(self, model: DualEncoder) -> None:
        """An update that fails says why; the next change may mend it."""
        try:
            self._update(model)
        except UserError as error:
            say(f"vu: {error}")

    def _read(self) -> ImageTextDataset:
        dataset = read_data(self.data, self.load)
        if not self.ocr:
            return dataset
        from vector_universe.data import read_ocr
        from vector_universe.progress import counter, stages
        with stages() as progress:
            return read_ocr(dataset, advance=counter(progress, "reading burnt-in text", len(dataset)))


@dataclass(frozen=True)
class Search:
    """Find the images that match texts, images, or items; without what is unwanted, and only where filters allow."""

    universe: Universe
    """What `vu index` wrote."""
    text: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT")] = ()
    """What to look for; several texts are looked for together."""
    image: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """A picture to look for; may be given several times."""
    like: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Id of an item to find more like; may be given several times."""
    weights: tuple[float, ...] = ()
    """How much each text, image and item counts, in this order; unset: all the same."""
    without: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """What is not wanted, as a text: its pictures fall in rank; may be given several times."""
    label: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Only items with this label, in any case; with several, those that have all of them."""
    not_label: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Only items without this label."""
    where: tyro.conf.UseAppendAction[tuple[Condition, ...]] = ()
    """Only items that pass, as COLUMN OPERATOR VALUE: --where year ">=" 2010; may be given several times."""
    burnt_in: str = ""
    """Only pictures in which all these words stand; alone, those where they stand most often first. Needs a universe
    made with --ocr."""
    hybrid: bool = False
    """Look for the words of the text in the titles too, and put both rankings together."""
    against: Literal["image", "text", "fused"] | None = None
    """Compare with the vectors of images, of titles, or of both fused; unset: what the universe was made for."""
    distinct: bool = False
    """Show one of several copies of a picture."""
    k: Annotated[int, tyro.conf.arg(aliases=["-k"])] = 9
    """How many matches."""
    offset: int = 0
    """Leave out so many of the best: the next page."""
    effort: Literal["fast", "balanced", "thorough", "exact"] = "balanced"
    """How hard to look in a universe of more than 50,000 items, where searching is not exact."""
    json: bool = False
    """Print a list of {id, title, labels, score, probability, …}."""
    picture: Path | None = None
    """Write the matches as one picture to this PNG file."""
    model: str | None = None
    """Embed the query with this model; it must be the one that made the universe."""

    def query(self) -> Query:
        """The query that the command line says."""
        from vector_universe.index.search.filters import Compare, Filter, HasLabel, Not
        from vector_universe.index.search.query import Part, Query
        parts = (*(Part(text=text) for text in self.text), *(Part(image=image) for image in self.image),
                 *(Part(item=item) for item in self.like))
        if self.weights and len(self.weights) != len(parts):
            raise UserError(f"--weights has {len(self.weights)} numbers for {len(parts)} texts, images and items: give "
                            "one each")
        if self.weights:
            parts = tuple(replace(part, weight=weight) for part, weight in zip(parts, self.weights, strict=True))
        filters: list[Filter] = [HasLabel(label) for label in self.label]
        filters += [Not(HasLabel(label)) for label in self.not_label]
        filters += [Compare(*condition) for condition in self.where]
        return Query(like=parts, without=tuple(Part(text=text) for text in self.without), filters=tuple(filters),
                     burnt_in=self.burnt_in or None, hybrid=self.hybrid, against=self.against, distinct=self.distinct,
                     k=self.k, offset=self.offset, effort=self.effort)

    def run(self) -> None:
        query = self.query()
        query.check()
        from vector_universe.index import Universe as Opened
        from vector_universe.models import load_run_model
        universe = Opened.open(self.universe, model=load_run_model(self.model) if self.model else None)
        matches = universe.search(query)
        if self.picture:
            from vector_universe.index.picture import grid_picture
            grid_picture(matches, [universe.thumbnail(hit.id) for hit in matches], self._heading(), self.picture)
            say(f"the picture is in {self.picture}")
        if self.json:
            print(printable_json(json.dumps([hit.as_dict() for hit in matches], ensure_ascii=False, indent=2)))
        elif matches:
            print_matches(matches)
        for line in self._remarks(matches):
            say(line)

    def _heading(self) -> str:
        said = [*self.text, *(image.name for image in self.image), *self.like, self.burnt_in, *self.label]
        heading = ", ".join(filter(None, said))
        return f"{heading} without {', '.join(self.without)}" if self.without else heading

    def _remarks(self, matches: Matches) -> list[str]:
        lines = [] if matches else ["nothing passes the filters" if not matches.among else "no more matches"]
        if matches.doubt:
            lines.append(matches.doubt)
        if matches.recall is not None:
            lines.append(f"searched with --effort {self.effort}, which finds {matches.recall:.1%} of the 20 nearest")
        if matches.next_offset is not None:
            lines.append(f"more: --offset {matches.next_offset}")
        return lines


@dataclass(frozen=True)
class Label:
    """Give every item of a universe the best of your labels, by what its picture shows: no training, no examples.

    The labels stand in the columns predicted_label and predicted_probability, to filter by. Items that are indexed
    later get theirs as they come.
    """

    universe: Universe
    """What `vu index` wrote."""
    labels: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="LABEL")]
    """The labels to choose from, two or more; an item that none of them fits gets none."""
    json: bool = False
    """Print how many items have each label as JSON."""

    def run(self) -> None:
        from vector_universe.index.label import label_universe
        from vector_universe.progress import stages
        with stages() as progress:
            counts = label_universe(self.universe, self.labels, progress)
        if self.json:
            print(printable_json(json.dumps(counts, ensure_ascii=False, indent=2)))
            return
        for label, count in counts.items():
            print(f"{count:>9,}  {printable(label or '(none of them)')}")
        say(f"next: vu search {self.universe} --where predicted_label = {self.labels[0]!r}")


def print_matches(matches: Matches) -> None:
    """A table of the matches; columns in which nothing stands are left out."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
    columns = {"score": ["" if hit.score is None else f"{hit.score:.3f}" for hit in matches],
               "match": ["" if hit.probability is None else f"{hit.probability:.0%}" for hit in matches],
               "title": [hit.title for hit in matches], "labels": [", ".join(hit.labels) for hit in matches],
               "predicted": [hit.predicted_label or "" for hit in matches],
               "burnt-in text": [hit.ocr if len(hit.ocr) <= _SHOWN_OCR else hit.ocr[:_SHOWN_OCR - 1] + "…"
                                 for hit in matches],
               "id": [hit.id for hit in matches]}
    shown = {name: cells for name, cells in columns.items() if any(cells) or name in ("title", "labels", "id")}
    table = Table(*shown)
    for row in zip(*shown.values(), strict=True):
        table.add_row(*(escape(printable_lines(cell)) for cell in row))
    Console().print(table)
