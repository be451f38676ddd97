/** A universe that was shared as files: it knows words, neighbours and filters, and has no model. */

import { isInside, test, type Value } from "./filtering";
import { foldedLabel } from "./same_label";
import { readMap } from "./server";
import { type DetailsFile, file, fromBase64, type ItemsFile, type SharedUniverse } from "./shared_files";
import { sharedCsv } from "./shared_csv";
import { type Paging, type Source, SourceError } from "./source";
import {
  type Answer, type Classified, type Hit, type Info, type Item, type ItemDetails, type MapData, NO_TOPIC, type Question,
} from "./types";
import { folded, matchOf, wordsOf } from "./word_search";
import { words } from "../words/words";

interface Found {
  row: number;
  score: number | null;
}

export class Shared implements Source {
  readonly offline = true;
  private readonly points: MapData;
  /** Of the items that are loaded. */
  private readonly rowsById = new Map<string, number>();
  private readonly files: ItemsFile[] = [];
  private readonly foldedTitles: string[] = [];
  private foldedLabels: string[] | null = null;
  private labelForms: string[] | null = null;

  constructor(private readonly universe: SharedUniverse) {
    this.points = readMap(fromBase64(universe.map));
    universe.map = "";
  }

  async info(): Promise<Info> {
    return this.universe.info;
  }

  async map(): Promise<MapData> {
    return this.points;
  }

  async items(rows: readonly number[]): Promise<Item[]> {
    return Promise.all(rows.map((row) => this.itemAt(row)));
  }

  async item(id: string): Promise<ItemDetails> {
    const row = await this.rowOf(id);
    const [item, details] = await Promise.all([this.itemAt(row), this.detailsOf(row)]);
    const place = row % this.universe.chunk;
    const own = this.universe.metadata.map(({ name }, column): [string, Value] =>
      [name, details.metadata[column]![place] ?? null]);
    return {
      ...item,
      x: this.points.x[row]!,
      y: this.points.y[row]!,
      topic: this.topicOf(row),
      ocr: details.ocr[place]!,
      predicted_label: details.predicted[place] ?? null,
      metadata: Object.fromEntries(own.filter(([, value]) => value !== null)) as ItemDetails["metadata"],
    };
  }

  async search(question: Question, { k, offset }: Paging, signal?: AbortSignal): Promise<Answer> {
    const passing = await this.passing(question, signal);
    const found = await this.ranked(question, passing, signal);
    const page = found.slice(offset, offset + k);
    const hits = await Promise.all(page.map(async ({ row, score }): Promise<Hit> =>
      ({ ...(await this.itemAt(row)), score, probability: null })));
    const like = question.like;
    const only = like.length === 1 && like[0]!.kind === "item" ? await this.rowOf(like[0]!.id) : null;
    return {
      hits,
      position: only === null ? null : { x: this.points.x[only]!, y: this.points.y[only]! },
      doubt: null,
      among: passing.reduce((sum, passes) => sum + passes, 0),
      recall: null,
      next_offset: offset + k < found.length ? offset + k : null,
      version: this.points.version,
    };
  }

  /** Known of an item's neighbours alone. */
  async scores(question: Question): Promise<Float32Array> {
    const scores = new Float32Array(this.points.count).fill(NaN);
    for (const { row, score } of await this.neighboursOf(question)) scores[row] = score ?? NaN;
    for (const part of question.like) if (part.kind === "item") scores[await this.rowOf(part.id)] = 1;
    return scores;
  }

  classify(): Promise<Classified> {
    return Promise.reject(new SourceError(words("shared.no_model"), 400));
  }

  async csv(question: Question): Promise<Blob> {
    const passing = await this.passing(question);
    const rows = [...passing.keys()].filter((row) => passing[row]);
    const items = await Promise.all(rows.map((row) => this.itemAt(row)));
    const details = await Promise.all(rows.map((row) => this.detailsOf(row)));
    return sharedCsv(this.universe.metadata, items.map((item, number) => ({
      ...item,
      x: this.points.x[item.row]!,
      y: this.points.y[item.row]!,
      topic: this.topicOf(item.row) ?? "",
      predicted: details[number]!.predicted[item.row % this.universe.chunk] ?? "",
      metadata: details[number]!.metadata.map((column) => column[item.row % this.universe.chunk] ?? null),
    })));
  }

  /** Empty where the row is unknown (below 0) and nothing of the item was asked for yet. */
  thumbnail({ row, id }: { row: number; id: string }): string {
    const known = row >= 0 ? row : this.rowsById.get(id);
    return known === undefined ? "" : `thumbnails/${Math.floor(known / 1000)}/${known}.webp`;
  }

  watch(): () => void {
    return () => undefined;
  }

  // ---- what is asked ----

  /** 1 for each row that passes the filters. */
  private async passing(question: Question, signal?: AbortSignal): Promise<Uint8Array> {
    const { labels, labelStart, x, y, count } = this.points;
    const { info } = this.universe;
    const passing = new Uint8Array(count).fill(1);
    const mustHave = question.labels.map((name) => this.numbersOf(name));
    const mustLack = question.notLabels.flatMap((name) => this.numbersOf(name));
    for (let row = 0; row < count; row++) {
      const own = labels.subarray(labelStart[row]!, labelStart[row + 1]!);
      const fits = mustHave.every((numbers) => numbers.some((number) => own.includes(number)))
        && !mustLack.some((number) => own.includes(number))
        && (question.region === null || isInside(x[row]!, y[row]!, question.region));
      if (!fits) passing[row] = 0;
    }
    for (const condition of question.conditions) {
      const column = info.columns.find(({ name }) => name === condition.column);
      if (!column) throw new SourceError(words("shared.no_column", { column: condition.column }), 400);
      const passes = test(condition, column);
      const place = this.universe.metadata.findIndex(({ name }) => name === column.name);
      for (let number = 0; number * this.universe.chunk < count; number++) {
        const values = (await file("details", number)).metadata[place]!;
        signal?.throwIfAborted();
        values.forEach((value, at) => {
          if (!passes(value)) passing[number * this.universe.chunk + at] = 0;
        });
      }
    }
    return passing;
  }

  /** The numbers of a label on the map: of each spelling that differs in case or Unicode form alone. */
  private numbersOf(name: string): number[] {
    const form = foldedLabel(name);
    this.labelForms ??= this.universe.info.labels.map((label) => foldedLabel(label.name));
    return this.labelForms.flatMap((other, number) => (other === form ? number : []));
  }

  /** What passes and matches, best first: by words where there are any, else by nearness, else in the items' order. */
  private async ranked(question: Question, passing: Uint8Array, signal?: AbortSignal): Promise<Found[]> {
    const wanted = question.like.flatMap((part) => (part.kind === "text" ? wordsOf(part.text) : []));
    const unwanted = question.without.flatMap((part) => (part.kind === "text" ? [wordsOf(part.text)] : []));
    if ([...question.like, ...question.without].some(({ kind }) => kind === "picture")) {
      throw new SourceError(words("shared.no_model"), 400);
    }
    const near = question.like.some(({ kind }) => kind === "item");
    const candidates = near ? await this.neighboursOf(question)
      : Array.from(passing.keys(), (row): Found => ({ row, score: null }));
    const found = candidates.filter(({ row }) => passing[row]);
    if (!wanted.length && !unwanted.length) return found;
    await this.loadItems(found.map(({ row }) => row));
    signal?.throwIfAborted();
    const matches: { found: Found; match: number; length: number }[] = [];
    for (const one of found) {
      const title = this.foldedTitle(one.row);
      const labels = this.foldedLabelsOf(one.row);
      const match = matchOf(wanted, title, labels);
      const refused = unwanted.some((some) => some.length && matchOf(some, title, labels));
      if ((match || !wanted.length) && !refused) matches.push({ found: one, match, length: title.length });
    }
    // Stable: what matches alike stays in the order of nearness, or of the items.
    if (!near && wanted.length) matches.sort((one, two) => two.match - one.match || one.length - two.length);
    return matches.map(({ found }) => found);
  }

  /** The neighbours of all items in the question, nearest first; without these items themselves. */
  private async neighboursOf(question: Question): Promise<Found[]> {
    const best = new Map<number, number>();
    const asked: number[] = [];
    for (const part of question.like) {
      if (part.kind !== "item") continue;
      const row = await this.rowOf(part.id);
      asked.push(row);
      const { chunk, neighbours } = this.universe;
      const nearest = await file("nearest", Math.floor(row / chunk));
      const start = (row % chunk) * neighbours;
      const rows = new Int32Array(fromBase64(nearest.rows)).subarray(start, start + neighbours);
      const cosines = new Float32Array(fromBase64(nearest.cosines)).subarray(start, start + neighbours);
      rows.forEach((near, place) => {
        if (near >= 0) best.set(near, Math.max(best.get(near) ?? -1, cosines[place]!));
      });
    }
    for (const row of asked) best.delete(row);
    return [...best].map(([row, score]) => ({ row, score })).sort((one, two) => two.score - one.score);
  }

  // ---- what is known of a row ----

  private async itemAt(row: number): Promise<Item> {
    await this.loadItems([row]);
    const labels = Array.from(this.labelsOf(row), (number) => this.universe.info.labels[number]!.name);
    const { ids, titles } = this.fileOf(row);
    return { row, id: ids[row % this.universe.chunk]!, title: titles[row % this.universe.chunk]!, labels };
  }

  private async loadItems(rows: readonly number[]): Promise<void> {
    const numbers = new Set(rows.map((row) => Math.floor(row / this.universe.chunk)));
    const missing = [...numbers].filter((number) => !this.files[number]);
    await Promise.all(missing.map(async (number) => {
      const loaded = await file("items", number);
      this.files[number] = loaded;
      loaded.ids.forEach((id, place) => this.rowsById.set(id, number * this.universe.chunk + place));
    }));
  }

  /** The loaded file of a row. */
  private fileOf(row: number): ItemsFile {
    return this.files[Math.floor(row / this.universe.chunk)]!;
  }

  private foldedTitle(row: number): string {
    return (this.foldedTitles[row] ??= folded(this.fileOf(row).titles[row % this.universe.chunk]!));
  }

  private foldedLabelsOf(row: number): string[] {
    this.foldedLabels ??= this.universe.info.labels.map(({ name }) => folded(name));
    const all = this.foldedLabels;
    return Array.from(this.labelsOf(row), (number) => all[number]!);
  }

  private detailsOf(row: number): Promise<DetailsFile> {
    return file("details", Math.floor(row / this.universe.chunk));
  }

  private labelsOf(row: number): Uint16Array {
    return this.points.labels.subarray(this.points.labelStart[row]!, this.points.labelStart[row + 1]!);
  }

  private topicOf(row: number): string | null {
    const topic = this.points.topic[row]!;
    return topic === NO_TOPIC ? null : this.universe.info.topics?.fine[topic]?.name ?? null;
  }

  private async rowOf(id: string): Promise<number> {
    if (!this.rowsById.has(id)) await this.loadItems(Array.from({ length: this.points.count }, (_, row) => row));
    const row = this.rowsById.get(id);
    if (row === undefined) throw new SourceError(words("shared.no_item"), 404);
    return row;
  }
}
