/** Where the page gets everything from: a server, or the files of a shared page. */

import type { Answer, Classified, Info, Item, ItemDetails, MapData, Part, Question, Side } from "./types";

export interface Paging {
  k: number;
  offset: number;
  side: Side;
}

/** Every failure is a `SourceError` whose message can be shown as it is, or an AbortError. */
export interface Source {
  /** A shared page knows words and neighbours, yet has no model: no search by meaning, no pictures, no playground. */
  readonly offline: boolean;
  info(): Promise<Info>;
  map(side: Side): Promise<MapData>;
  /** In the order of `rows`. */
  items(rows: readonly number[], signal?: AbortSignal): Promise<Item[]>;
  item(id: string, signal?: AbortSignal): Promise<ItemDetails>;
  search(question: Question, paging: Paging, signal?: AbortSignal): Promise<Answer>;
  /** The cosine of every item to what is asked, by row; NaN where an item has no vector. */
  scores(question: Question, signal?: AbortSignal): Promise<Float32Array>;
  classify(labels: string[], part: Part, signal?: AbortSignal): Promise<Classified>;
  /** Every item that the filters of a question keep, as CSV. */
  csv(question: Question): Promise<Blob>;
  thumbnail(item: { row: number; id: string }): string;
  /** Calls back whenever the index has changed, with its new version, and about each look whether it was answered;
   * returns what stops that. */
  watch(changed: (version: string) => void, answered: (whether: boolean) => void): () => void;
}

export class SourceError extends Error {
  /** `status` is that of HTTP; 0 where the server cannot be reached. */
  constructor(message: string, readonly status = 0) {
    super(message);
  }
}
