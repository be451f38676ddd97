/** Names of regions: coarse ones from afar, finer ones as one comes near; never two over one another. */

import type { Info, MapData, Topic, Topics } from "../data/types";
import { colourOf, type Palette } from "./palette";
import { firstLabel } from "./star_colours";
import { toScreen, type View } from "./view";

export type Rect = [left: number, top: number, right: number, bottom: number];

interface Name {
  text: string;
  x: number;
  y: number;
  coarse: boolean;
  /** Which zooms show it. */
  from: number;
  to: number;
  /** null: the colour of text. */
  label: number | null;
  opacity: number;
  picture: HTMLCanvasElement | null;
}

const MOST = 400;
const FADE = 180; // ms
const GAP = 5;
const LABEL_NAMES = 12;
/** Fewer topics than these tell less than the labels do. */
const FEW = 4;
const CELLS = 20;

export class TopicNames {
  private readonly names: Name[];
  private key = "";

  constructor(info: Pick<Info, "labels">, data: MapData, topics: Topics | null) {
    const labels = ofLabels(info, data);
    this.names = topics && (topics.fine.length >= FEW || !labels.length) ? ofTopics(topics) : labels;
  }

  /** Draws the names that have room; returns their rectangles and whether some still fade. */
  draw(
    context: CanvasRenderingContext2D, view: View, zoom: number, theme: Palette, strength: number, ratio: number,
    elapsed: number, covered: readonly Rect[],
  ): { taken: Rect[]; fading: boolean } {
    const key = `${theme.dark} ${ratio}`;
    if (key !== this.key) for (const name of this.names) name.picture = null;
    this.key = key;
    const taken: Rect[] = [...covered];
    let fading = false;
    for (const name of this.names) {
      let wanted = false;
      const [x, y] = toScreen(view, name.x, name.y);
      const near = x > view.left && x < view.left + view.width && y > view.top && y < view.top + view.height;
      if (near && zoom >= name.from && zoom < name.to) {
        name.picture ??= written(name, theme, ratio);
        const [halfWidth, halfHeight] = [name.picture.width / ratio / 2, name.picture.height / ratio / 2];
        const rect: Rect = [x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight];
        const inside = rect[0] > view.left && rect[2] < view.left + view.width
          && rect[1] > view.top && rect[3] < view.top + view.height;
        wanted = inside && taken.every((other) => apart(rect, other));
        if (wanted) taken.push(rect);
      }
      const step = elapsed / FADE;
      name.opacity = wanted ? Math.min(1, name.opacity + step) : Math.max(0, name.opacity - step);
      fading ||= name.opacity > 0 && name.opacity < 1;
      if (!name.opacity || !name.picture) continue;
      context.globalAlpha = name.opacity * strength;
      const { width, height } = name.picture;
      context.drawImage(name.picture, Math.round(x * ratio - width / 2), Math.round(y * ratio - height / 2));
    }
    context.globalAlpha = 1;
    return { taken, fading };
  }
}

function apart(a: Rect, b: Rect): boolean {
  return a[2] + GAP < b[0] || b[2] + GAP < a[0] || a[3] + GAP < b[1] || b[3] + GAP < a[1];
}

/** A name with its halo as a picture: drawing text anew in every frame would cost more than the stars. */
function written({ text, coarse, label }: Name, theme: Palette, ratio: number): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d")!;
  const small = matchMedia("(max-width: 760px)").matches ? 2.5 : 0;
  const size = ((coarse ? 15.5 : 13) - small) * ratio;
  const font = `${coarse ? 650 : 550} ${size}px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif`;
  context.font = font;
  const shown = text.length > 36 ? `${text.slice(0, 35)}…` : text;
  const padding = 5 * ratio;
  canvas.width = Math.ceil(context.measureText(shown).width + 2 * padding);
  canvas.height = Math.ceil(size * 1.3 + padding);
  context.font = font;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 4 * ratio;
  context.strokeStyle = theme.ground;
  context.globalAlpha = 0.82;
  context.strokeText(shown, padding, canvas.height / 2);
  context.globalAlpha = 1;
  context.fillStyle = label === null ? theme.text : colourOf(label, theme);
  context.fillText(shown, padding, canvas.height / 2);
  return canvas;
}

function ofTopics({ fine, coarse }: Topics): Name[] {
  const two = coarse.length > 0 && coarse.length < fine.length;
  const bySize = <T extends { size: number }>(topics: T[]) => [...topics].sort((a, b) => b.size - a.size);
  const far = two ? bySize(coarse).map((topic) => name(topic, true, 0, 3.2)) : [];
  // Many fine topics come in as one zooms, the largest first; sooner where the coarse ones say little.
  const first = !two ? 0 : coarse.length < 6 ? 0.9 : 1.4;
  const near = bySize(fine).slice(0, MOST).map((topic, rank) =>
    name(topic, !two, first + (two ? rank / 60 : 0), Infinity));
  return [...far, ...near];
}

type Place = Pick<Topic, "name" | "x" | "y">;

function name({ name: text, x, y }: Place, coarse: boolean, from: number, to: number): Name {
  return { text, x, y, coarse, from, to, label: null, opacity: 0, picture: null };
}

function ofLabels({ labels }: Pick<Info, "labels">, data: MapData): Name[] {
  return labels.slice(0, LABEL_NAMES).flatMap(({ name: text }, label) => {
    const place = densestPlace(data, label);
    return place ? [{ ...name({ name: text, ...place }, true, 0, Infinity), label }] : [];
  });
}

/** The mean of a label's stars in and around its fullest cell: unlike the plain mean, always amid its stars. */
function densestPlace(data: MapData, label: number): { x: number; y: number } | null {
  const counts = new Uint32Array(CELLS * CELLS);
  const cellOf = (v: number) => Math.min(CELLS - 1, Math.max(0, Math.floor(((v + 1) / 2) * CELLS)));
  const rows: number[] = [];
  for (let row = 0; row < data.count; row++) {
    if (firstLabel(data, row) !== label || data.x[row] !== data.x[row]) continue;
    rows.push(row);
    counts[cellOf(data.y[row]!) * CELLS + cellOf(data.x[row]!)]!++;
  }
  if (!rows.length) return null;
  const best = counts.indexOf(counts.reduce((a, b) => Math.max(a, b), 0));
  const [line, column] = [Math.floor(best / CELLS), best % CELLS];
  const near = rows.filter((row) =>
    Math.abs(cellOf(data.y[row]!) - line) <= 2 && Math.abs(cellOf(data.x[row]!) - column) <= 2);
  const mean = (values: Float32Array) => near.reduce((sum, row) => sum + values[row]!, 0) / near.length;
  return { x: mean(data.x), y: mean(data.y) };
}
