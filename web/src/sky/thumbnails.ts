/** Pictures at their places once few enough stars are in view; the best-spread ones first, none over another. */

import { hitRows, type Loaded, opened } from "../state/store";
import { type StarField, visible } from "./star_field";
import type { Rect } from "./topic_names";
import { toScreen, type View } from "./view";

const LARGEST = 104;
const SMALLEST = 40;
const MOST = 90;
/** Beyond these many stars in view there is no room for pictures. */
const CROWD = 500;

interface Shown {
  image: HTMLImageElement;
  x: number;
  y: number;
}

export class Thumbnails {
  private readonly shown = new Map<number, Shown>();
  private size = LARGEST;
  private chosen = 0;

  constructor(private readonly layer: HTMLElement, private readonly loaded: Loaded) {}

  clear(): void {
    for (const row of [...this.shown.keys()]) this.remove(row);
    this.chosen++;
  }

  /** The row whose picture lies under a place of the canvas. */
  at(left: number, top: number): number | null {
    const half = this.size / 2;
    for (const [row, { image, x, y }] of this.shown) {
      if (!image.classList.contains("ready")) continue;
      const [px, py] = toScreen(this.view!, x, y);
      if (Math.abs(px - left) < half && Math.abs(py - top) < half) return row;
    }
    return null;
  }

  private view: View | null = null;

  /** Keeps the pictures at their places while the camera moves; too many in view, and they leave. */
  place(view: View): void {
    this.view = view;
    for (const [row, { image, x, y }] of this.shown) {
      const [left, top] = toScreen(view, x, y);
      if (left < view.left - LARGEST || left > view.left + view.width + LARGEST || top < view.top - LARGEST
        || top > view.top + view.height + LARGEST) this.remove(row);
      else image.style.transform = `translate(${left - this.size / 2}px, ${top - this.size / 2}px)`;
    }
  }

  /** Decides which pictures to show for a view at rest. */
  choose(field: StarField, view: View, names: readonly Rect[]): void {
    const places = field.levels.within(visible(view), CROWD + 1);
    const room = Math.sqrt((view.width * view.height) / Math.max(1, places.length));
    if (places.length > CROWD || room < SMALLEST * 0.9) return this.clear();
    const size = Math.round(Math.min(LARGEST, Math.max(SMALLEST, room * 0.8)));
    const first = [opened.peek(), ...hitRows.peek(), ...this.shown.keys()]
      .map((row) => (row === null ? -1 : (field.levels.place[row] ?? -1)))
      .filter((place) => place >= 0);
    const taken: Rect[] = names.map(([left, top, right, bottom]) => [left + 4, top + 4, right - 4, bottom - 4]);
    const wanted = new Set<number>();
    const half = size / 2 + 2;
    for (const place of [...first, ...scattered(places)]) {
      if (wanted.size >= MOST) break;
      if (field.colours[place]! >>> 24 < 40) continue;
      const [x, y] = toScreen(view, field.levels.x[place]!, field.levels.y[place]!);
      const rect: Rect = [x - half, y - half, x + half, y + half];
      if (x < view.left || y < view.top || x > view.left + view.width || y > view.top + view.height) continue;
      if (taken.some((other) => rect[0] < other[2] && other[0] < rect[2] && rect[1] < other[3] && other[1] < rect[3])) {
        continue;
      }
      taken.push(rect);
      wanted.add(field.levels.row[place]!);
    }
    this.size = size;
    this.layer.style.setProperty("--thumbnail-size", `${size}px`);
    for (const row of [...this.shown.keys()]) if (!wanted.has(row)) this.remove(row);
    void this.fill([...wanted].filter((row) => !this.shown.has(row)), view);
  }

  private async fill(rows: number[], view: View): Promise<void> {
    const turn = ++this.chosen;
    await this.loaded.items.load(rows);
    if (turn !== this.chosen) return;
    const { x, y } = this.loaded.map;
    for (const row of rows) {
      const item = this.loaded.items.peek(row);
      if (!item) continue;
      const image = document.createElement("img");
      image.alt = "";
      image.decoding = "async";
      image.draggable = false;
      image.className = "sky-thumbnail";
      image.addEventListener("load", () => image.classList.add("ready"));
      image.addEventListener("error", () => this.remove(row));
      image.src = this.loaded.source.thumbnail(item);
      this.shown.set(row, { image, x: x[row]!, y: y[row]! });
      this.layer.append(image);
    }
    this.place(this.view ?? view);
  }

  private remove(row: number): void {
    this.shown.get(row)?.image.remove();
    this.shown.delete(row);
  }
}

/** Neighbours in a list lie side by side on the map: takes every 0.618th, so that any first few are spread over all. */
function scattered(places: number[]): number[] {
  const step = 0.618034;
  return places
    .map((place, at) => [place, (at * step) % 1] as const)
    .sort((a, b) => a[1] - b[1])
    .map(([place]) => place);
}
