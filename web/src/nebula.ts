/** A soft glow behind the stars: where they gather, their colours light up the sky. */

import type { MapData } from "./api";
import { colourOf, type Palette, rgb } from "./palette";
import { project, type View } from "./view";

const CELLS = 96;
/** Half the width of the painted square in map units; leaves room for the glow around [-1, 1]. */
const REACH = 1.25;
const BLUR = 3;

/** Paints density per colour as a small picture. */
export function paintNebula(canvas: HTMLCanvasElement, data: MapData, colours: Palette): void {
  const sums = new Float32Array(CELLS * CELLS * 4);
  const table = new Map<number, [number, number, number]>();
  for (let i = 0; i < data.x.length; i++) {
    const label = data.label[i]!;
    let colour = table.get(label);
    if (!colour) table.set(label, (colour = rgb(colourOf(label, colours))));
    const column = Math.floor(((data.x[i]! + REACH) / (2 * REACH)) * CELLS);
    const row = Math.floor(((REACH - data.y[i]!) / (2 * REACH)) * CELLS);
    if (column < 0 || row < 0 || column >= CELLS || row >= CELLS) continue;
    const cell = (row * CELLS + column) * 4;
    for (let c = 0; c < 3; c++) sums[cell + c] = sums[cell + c]! + colour[c]!;
    sums[cell + 3] = sums[cell + 3]! + 1;
  }
  for (let pass = 0; pass < 3; pass++) {
    blur(sums, 4);
    blur(sums, CELLS * 4);
  }
  fill(canvas, sums, colours.dark ? 0.34 : 0.26);
}

/** One pass of a box blur along rows (step 4) or columns (step CELLS * 4), for all four channels. */
function blur(sums: Float32Array, step: number): void {
  const across = step === 4 ? CELLS * 4 : 4;
  const line = new Float32Array(CELLS);
  for (let start = 0; start < CELLS; start++) {
    for (let c = 0; c < 4; c++) {
      const base = start * across + c;
      for (let i = 0; i < CELLS; i++) line[i] = sums[base + i * step]!;
      for (let i = 0; i < CELLS; i++) {
        let total = 0;
        for (let j = Math.max(0, i - BLUR); j <= Math.min(CELLS - 1, i + BLUR); j++) total += line[j]!;
        sums[base + i * step] = total / (2 * BLUR + 1);
      }
    }
  }
}

function fill(canvas: HTMLCanvasElement, sums: Float32Array, strength: number): void {
  canvas.width = canvas.height = CELLS;
  const image = new ImageData(CELLS, CELLS);
  let densest = 1e-9;
  for (let cell = 3; cell < sums.length; cell += 4) densest = Math.max(densest, sums[cell]!);
  for (let cell = 0; cell < sums.length; cell += 4) {
    const density = sums[cell + 3]!;
    if (density <= 0) continue;
    for (let c = 0; c < 3; c++) image.data[cell + c] = sums[cell + c]! / density;
    image.data[cell + 3] = 255 * strength * Math.sqrt(density / densest);
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/** Stretches the small picture over the map; the browser's compositor does the smoothing. */
export function placeNebula(canvas: HTMLCanvasElement, view: View): void {
  const [left, top] = project(view, -REACH, REACH);
  const [right, bottom] = project(view, REACH, -REACH);
  canvas.style.transform =
    `translate(${left}px, ${top}px) scale(${(right - left) / CELLS}, ${(bottom - top) / CELLS})`;
}
