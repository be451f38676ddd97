/** What the page shows, in signals: the panel writes what is asked, the map what is pointed at; both read all. */

import { computed, signal } from "@preact/signals";
import type { ItemCache } from "../data/item_cache";
import type { Source } from "../data/source";
import { type Answer, type Info, type MapData, NOTHING_ASKED, type Question } from "../data/types";

export type Colouring = "label" | "topic" | "score" | "moved";

/** The middle of the view on the map, and how many times it is magnified; 1 shows the whole map. */
export interface Camera {
  x: number;
  y: number;
  zoom: number;
}

export interface Loaded {
  source: Source;
  items: ItemCache;
  info: Info;
  map: MapData;
  /** The same items in the universe to compare with, moved and turned to lie as near as can be; null without one. */
  otherMap: MapData | null;
}

/** null until the universe is here. */
export const loaded = signal<Loaded | null>(null);
/** Why the universe cannot be shown. */
export const failure = signal<string | null>(null);

export const question = signal<Question>(NOTHING_ASKED);
export const answer = signal<Answer | null>(null);
/** The other model's answer to the same question, while comparing. */
export const otherAnswer = signal<Answer | null>(null);
export const busy = signal(false);
/** One line above the results: what could not be done, or what has changed. */
export const message = signal<string | null>(null);
/** Why the last search failed; it can be tried again. */
export const trouble = signal<string | null>(null);
/** false while the server does not answer. */
export const reachable = signal(true);

/** What the panel shows: the search, or the playground for labels. */
export type Tab = "search" | "labels";
export const tab = signal<Tab>("search");
/** The labels to try on a picture, in the playground. */
export const tried = signal<string[]>([]);
/** Whether the page is dark; follows the reader's choice, else the system. `data-theme` on html says the same. */
export const dark = signal(true);

export const colouring = signal<Colouring>("label");
/** Cosines of all items to what is asked, by row, while stars are coloured by score. */
export const scores = signal<Float32Array | null>(null);
export const comparing = signal(false);

/** The row under the mouse or the keyboard, on the map or among the results. */
export const hovered = signal<number | null>(null);
/** The row whose details are open. */
export const opened = signal<number | null>(null);
/** The camera of the map: it follows what is written here, and writes what people do to it. */
export const camera = signal<Camera>({ x: 0, y: 0, zoom: 1 });
/** Whether the next drag over the map draws a lasso. */
export const drawingLasso = signal(false);

export const somethingAsked = computed(() => {
  const { like, without, labels, notLabels, conditions, region } = question.value;
  return like.length + without.length + labels.length + notLabels.length + conditions.length > 0 || region !== null;
});
/** Rows of the hits, best first. */
export const hitRows = computed(() => answer.value?.hits.map((hit) => hit.row) ?? []);

/** Whether the hits are near to something, and not just what filters keep. */
export const ranked = computed(() => hitRows.value.length > 0 && question.value.like.length > 0);

/** Asks something else: the given fields change, the others stay. */
export function ask(changes: Partial<Question>): void {
  question.value = { ...question.value, ...changes };
}
