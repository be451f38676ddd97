/** Names of the largest labels, written over the places where their stars gather. */

import type { Label, MapData } from "./api";
import { make } from "./dom";
import { colourOf, type Palette } from "./palette";
import { project, type View } from "./view";

const NAMES = 8;
const CELLS = 20;
const GAP = 6;

interface Name {
  label: number;
  x: number;
  y: number;
  element: HTMLElement;
  width: number;
  height: number;
}

export class Names {
  private names: Name[] = [];
  private only: number | null = null;

  constructor(private readonly layer: HTMLElement) {}

  show(data: MapData, labels: Label[], colours: Palette): void {
    this.layer.replaceChildren();
    this.names = [];
    for (let label = 0; label < Math.min(NAMES, labels.length); label++) {
      const centre = densestPlace(data, label);
      if (!centre) continue;
      const element = make("span", "name", labels[label]!.name);
      element.style.color = colourOf(label, colours);
      this.layer.append(element);
      const { width, height } = element.getBoundingClientRect();
      this.names.push({ label, x: centre[0], y: centre[1], element, width, height });
    }
  }

  isolate(label: number | null): void {
    this.only = label;
  }

  /** Leaves the stage to the hits. */
  recede(back: boolean): void {
    this.layer.classList.toggle("receded", back);
  }

  /** Larger labels come first and win the room where two names would overlap. */
  place(view: View): void {
    const taken: [number, number, number, number][] = [];
    for (const name of this.names) {
      const [x, y] = project(view, name.x, name.y);
      const box: [number, number, number, number] = [
        x - name.width / 2 - GAP, y - name.height / 2 - GAP,
        x + name.width / 2 + GAP, y + name.height / 2 + GAP,
      ];
      const wanted = this.only === null || this.only === name.label;
      const inside = box[0] > 0 && box[1] > 0 && box[2] < view.width && box[3] < view.height;
      const free = taken.every((t) => box[2] < t[0] || t[2] < box[0] || box[3] < t[1] || t[3] < box[1]);
      const visible = wanted && inside && free;
      if (visible) taken.push(box);
      name.element.classList.toggle("away", !visible);
      name.element.style.transform = `translate(${x - name.width / 2}px, ${y - name.height / 2}px)`;
    }
  }
}

/** The mean of a label's points in and around its fullest cell: unlike the plain mean, always amid its stars. */
function densestPlace(data: MapData, label: number): [number, number] | null {
  const counts = new Uint32Array(CELLS * CELLS);
  const cellOf = (v: number) => Math.min(CELLS - 1, Math.max(0, Math.floor(((v + 1) / 2) * CELLS)));
  for (let i = 0; i < data.x.length; i++) {
    if (data.label[i] !== label) continue;
    const cell = cellOf(data.y[i]!) * CELLS + cellOf(data.x[i]!);
    counts[cell] = counts[cell]! + 1;
  }
  const best = counts.indexOf(counts.reduce((a, b) => Math.max(a, b), 0));
  if (!counts[best]) return null;
  const row = Math.floor(best / CELLS);
  const column = best % CELLS;
  let x = 0;
  let y = 0;
  let n = 0;
  for (let i = 0; i < data.x.length; i++) {
    if (data.label[i] !== label) continue;
    if (Math.abs(cellOf(data.y[i]!) - row) > 2 || Math.abs(cellOf(data.x[i]!) - column) > 2) continue;
    x += data.x[i]!;
    y += data.y[i]!;
    n++;
  }
  return [x / n, y / n];
}
