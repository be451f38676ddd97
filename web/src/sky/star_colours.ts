/** The colour of every star, and how strong it shines: by what the reader wants to see and what is filtered. */

import type { MapData, Point, Question } from "../data/types";
import { NO_TOPIC } from "../data/types";
import type { Colouring } from "../state/store";
import { insidePolygon } from "./lasso";
import { colourOf, packed, type Palette, rampColour, rgb } from "./palette";
import type { StarField } from "./star_field";

/** What a ramp's ends stand for. */
export interface Scale {
  low: number;
  high: number;
}

export interface Wish {
  colouring: Colouring;
  theme: Palette;
  question: Pick<Question, "labels" | "notLabels" | "region">;
  /** By row; for colouring by score. */
  scores: Float32Array | null;
  /** By row; for colouring by how far stars moved. */
  moved: Float32Array | null;
  /** Numbers of labels by name. */
  labelNumbers: Map<string, number>;
  /** Whether hits are lit, so that all else steps back. */
  asked: boolean;
}

const STRONG = 235;
const BEHIND_HITS = 0.5;
const FILTERED_OUT = 0.1;
const STEPS = 256;

/** Fills `field.colours`; returns what the ends of the ramp stand for where there is one. */
export function colourStars(field: StarField, wish: Wish): Scale | null {
  const { levels, data, colours } = field;
  const { row, count } = levels;
  const { theme } = wish;
  const values = wish.colouring === "score" ? wish.scores : wish.colouring === "moved" ? wish.moved : null;
  let scale: Scale | null = null;
  if (values) {
    scale = scaleOf(values, wish.colouring === "score" ? 0.02 : 0);
    const ramp = Uint32Array.from({ length: STEPS }, (_, step) => packed(rampColour(step / (STEPS - 1), theme), 0));
    const faint = packed(rgb(theme.rest), 0);
    const stretch = (STEPS - 1) / Math.max(1e-9, scale.high - scale.low);
    for (let place = 0; place < count; place++) {
      const value = values[row[place]!]!;
      const step = Math.min(STEPS - 1, Math.max(0, (value - scale.low) * stretch)) | 0;
      const known = value === value;
      const alpha = known ? 90 + ((step * 145) >> 8) : 60;
      colours[place] = ((known ? ramp[step]! : faint) | (alpha << 24)) >>> 0;
    }
  } else {
    const table = Uint32Array.from(theme.labels, (colour) => packed(rgb(colour), STRONG));
    const rest = packed(rgb(theme.rest), STRONG - 60);
    const byTopic = wish.colouring === "topic";
    const { topic, labels, labelStart } = data;
    for (let place = 0; place < count; place++) {
      const at = row[place]!;
      const start = labelStart[at]!;
      const number = byTopic ? topicColour(topic[at]!) : start < labelStart[at + 1]! ? labels[start]! : -1;
      colours[place] = number >= 0 && number < table.length ? table[number]! : rest;
    }
  }
  dim(field, wish);
  return scale;
}

/** Neighbouring topics have neighbouring numbers; scatter the colours so that neighbours differ. */
export function topicColour(topic: number): number {
  return topic === NO_TOPIC ? -1 : (topic * 5) % 12;
}

export function firstLabel({ labelStart, labels }: MapData, row: number): number {
  const start = labelStart[row]!;
  return start < labelStart[row + 1]! ? labels[start]! : -1;
}

export function colourOfRow(data: MapData, row: number, colouring: Colouring, theme: Palette): string {
  return colourOf(colouring === "topic" ? topicColour(data.topic[row]!) : firstLabel(data, row), theme);
}

function dim({ levels, data, colours }: StarField, { question, labelNumbers, asked }: Wish): void {
  const wanted = question.labels.map((name) => labelNumbers.get(name) ?? -1);
  const unwanted = question.notLabels.map((name) => labelNumbers.get(name) ?? -1);
  const { region } = question;
  if (!wanted.length && !unwanted.length && !region && !asked) return;
  const behind = asked ? BEHIND_HITS : 1;
  const { row, x, y, count } = levels;
  const box = region && boxOf(region);
  for (let place = 0; place < count; place++) {
    let passes = true;
    if (wanted.length || unwanted.length) passes = carries(data, row[place]!, wanted, unwanted);
    if (passes && region && box) {
      const px = x[place]!;
      const py = y[place]!;
      passes = px >= box[0] && px <= box[1] && py >= box[2] && py <= box[3] && insidePolygon(region, px, py);
    }
    const share = passes ? behind : FILTERED_OUT;
    const colour = colours[place]!;
    colours[place] = ((colour & 0xffffff) | (((colour >>> 24) * share) << 24)) >>> 0;
  }
}

function carries({ labelStart, labels }: MapData, row: number, wanted: number[], unwanted: number[]): boolean {
  const end = labelStart[row + 1]!;
  let found = 0;
  for (let at = labelStart[row]!; at < end; at++) {
    if (unwanted.includes(labels[at]!)) return false;
    if (wanted.includes(labels[at]!)) found++;
  }
  return found >= wanted.length;
}

function boxOf(region: Point[]): [number, number, number, number] {
  const x = region.map((point) => point[0]);
  const y = region.map((point) => point[1]);
  return [Math.min(...x), Math.max(...x), Math.min(...y), Math.max(...y)];
}

/** From a low quantile to nearly the highest, by a sample: single outliers do not flatten the ramp. */
function scaleOf(values: Float32Array, lowest: number): Scale {
  const step = Math.max(1, Math.floor(values.length / 20_000));
  const sample: number[] = [];
  for (let i = 0; i < values.length; i += step) if (values[i] === values[i]) sample.push(values[i]!);
  sample.sort((a, b) => a - b);
  const at = (share: number) => sample[Math.min(sample.length - 1, Math.floor(share * sample.length))] ?? 0;
  return { low: at(lowest), high: Math.max(at(0.998), at(lowest) + 1e-6) };
}

/** How far each row lies from its place on another map, in map units; NaN where it has none. */
export function movedBy(one: MapData, other: MapData): Float32Array {
  return Float32Array.from(one.x, (x, row) => Math.hypot(x - other.x[row]!, one.y[row]! - other.y[row]!));
}
