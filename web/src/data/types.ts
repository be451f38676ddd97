/** What a universe is made of, as the page sees it. A row is an item's number on the map, from 0. */

export interface Label {
  name: string;
  count: number;
}

/** A named region of the map; `share` says how well its name fits its items, 0 to 1. */
export interface Topic {
  name: string;
  share: number;
  size: number;
  x: number;
  y: number;
}

/** Two levels: each fine topic lies in the coarse one that `parents` names. They are the same where there are few. */
export interface Topics {
  fine: Topic[];
  coarse: Topic[];
  parents: number[];
}

/** A column of the data that one can filter by. */
export interface Column {
  name: string;
  kind: "text" | "int" | "float" | "bool";
}

export interface Info {
  name: string;
  count: number;
  dimension: number;
  /** What stands for an item. */
  vectors: "image" | "fused";
  /** Which vectors the items have: what `against` may name. */
  columns_of_vectors: ("image" | "text" | "fused")[];
  /** Of the index: it changes when items do, and rows are good for one version alone. */
  version: string;
  product_version: string;
  attribution: string;
  /** Queries to suggest. */
  examples: string[];
  /** Most frequent first; a label's place here is its number on the map. */
  labels: Label[];
  topics: Topics | null;
  columns: Column[];
  /** Whether a cosine of this model can be said as a probability. */
  calibrated: boolean;
  /** The share of the 20 nearest that a search finds, as measured; null where every item is compared. */
  recall: number | null;
  /** One line where the map should be drawn anew. */
  remark: string | null;
  model: string;
  /** null where nothing is compared. */
  other: Other | null;
}

/** The universe to compare with, of the same items and another model. */
export interface Other {
  name: string;
  model: string;
  /** Where they lie on its map, aligned with the first. */
  topics: Topics | null;
  calibrated: boolean;
  /** How many items both have. */
  shared: number;
  /** How alike the models see the items: the share of an item's 10 nearest that are the same in both, 0 to 1. */
  kept: number;
}

export interface MapData {
  version: string;
  count: number;
  /** Places in [-1, 1]; NaN where a compared universe lacks the item. */
  x: Float32Array;
  y: Float32Array;
  /** Fine topic; 65535 where an item has none. */
  topic: Uint16Array;
  /** Labels of row i: labels[labelStart[i] … labelStart[i + 1] - 1]; the first one gives the colour. */
  labelStart: Uint32Array;
  labels: Uint16Array;
}

/** An item, in short. */
export interface Item {
  row: number;
  id: string;
  title: string;
  labels: string[];
}

/** Everything about an item. */
export interface ItemDetails extends Item {
  x: number;
  y: number;
  topic: string | null;
  ocr: string;
  predicted_label: string | null;
  metadata: Record<string, string | number | boolean>;
}

export interface Hit extends Item {
  /** Cosine; null where only filters were given. */
  score: number | null;
  /** That it is right, 0 to 1; null where the model cannot say. */
  probability: number | null;
}

export interface Answer {
  hits: Hit[];
  /** Where the query itself belongs on the map. */
  position: { x: number; y: number } | null;
  /** One line where nothing matches well. */
  doubt: string | null;
  /** How many items passed the filters. */
  among: number;
  recall: number | null;
  next_offset: number | null;
  version: string;
}

/** One thing to be near to, or not. */
export type Part =
  | { kind: "text"; text: string; weight: number }
  | { kind: "item"; id: string; title: string; weight: number }
  | { kind: "picture"; file: File; weight: number };

export interface Condition {
  column: string;
  operator: "=" | "!=" | "<" | "<=" | ">" | ">=";
  value: string;
}

export type Point = [x: number, y: number];

export interface Question {
  like: Part[];
  without: Part[];
  /** Only items that carry all of these. */
  labels: string[];
  /** Only items that carry none of these. */
  notLabels: string[];
  conditions: Condition[];
  /** Only items inside this polygon of the map; null: everywhere. */
  region: Point[] | null;
  /** Rank by words of titles too. */
  hybrid: boolean;
  /** Show one of several copies. */
  distinct: boolean;
}

/** What zero-shot classification says of a picture. */
export interface Classified {
  /** Likeliest first; `probability` given that one of them is right, `match` that this one fits at all. */
  labels: { name: string; probability: number; match: number | null; score: number }[];
  /** One line where none of them fits. */
  doubt: string | null;
}

/** Which of two compared universes. */
export type Side = "this" | "other";

export const NO_TOPIC = 65535;

export const NOTHING_ASKED: Question = {
  like: [], without: [], labels: [], notLabels: [], conditions: [], region: null, hybrid: false, distinct: false,
};
