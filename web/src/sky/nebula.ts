/** A soft glow behind the stars: where they gather, their colours light up the sky. */

import type { Levels } from "./levels";
import { packed, type Palette, rgb } from "./palette";
import { PAD, type Raster, type Transform } from "./raster";

const CELLS = 112;
/** Half the width of the painted square in map units; leaves room for the glow around [-1, 1]. */
const REACH = 1.3;
const BLUR = 2;
/** Many narrow passes make a round glow of what few wide ones would make a square. */
const PASSES = 6;
/** A million stars glow no differently from a sample of them. */
const SAMPLE = 200_000;

/** The glow as a small picture of CELLS × CELLS pixels, opaque. */
export function paintNebula({ x, y, count }: Levels, colours: Uint32Array, theme: Palette): Uint32Array {
  const sums = new Float32Array(CELLS * CELLS * 4);
  const perUnit = CELLS / (2 * REACH);
  for (let place = 0; place < Math.min(count, SAMPLE); place++) {
    const column = Math.floor((x[place]! + REACH) * perUnit);
    const row = Math.floor((REACH - y[place]!) * perUnit);
    if (column < 0 || row < 0 || column >= CELLS || row >= CELLS) continue;
    const cell = (row * CELLS + column) * 4;
    const colour = colours[place]!;
    const weight = (colour >>> 24) / 255;
    sums[cell]! += (colour & 255) * weight;
    sums[cell + 1]! += ((colour >> 8) & 255) * weight;
    sums[cell + 2]! += ((colour >> 16) & 255) * weight;
    sums[cell + 3]! += weight;
  }
  for (let pass = 0; pass < PASSES; pass++) {
    blur(sums, 4);
    blur(sums, CELLS * 4);
  }
  return blended(sums, theme);
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

function blended(sums: Float32Array, theme: Palette): Uint32Array {
  const ground = rgb(theme.ground);
  let densest = 1e-9;
  for (let cell = 3; cell < sums.length; cell += 4) densest = Math.max(densest, sums[cell]!);
  return Uint32Array.from({ length: CELLS * CELLS }, (_, cell) => {
    const density = sums[cell * 4 + 3]!;
    // Steep where stars are few, so that small groups glow too, and yet without an edge.
    const share = (theme.dark ? 0.3 : 0.18) * (1 - Math.exp(-5 * (density / densest)));
    const glow = density > 0 ? vivid([0, 1, 2].map((c) => sums[cell * 4 + c]! / density)) : ground;
    return packed(ground.map((value, c) => Math.round(value + (glow[c]! - value) * share)) as [number, number, number]);
  });
}

/** Where many colours meet their mean is grey: bring back some of the hue that is left in it. */
function vivid(colour: number[]): number[] {
  const mean = (colour[0]! + colour[1]! + colour[2]!) / 3;
  return colour.map((value) => Math.min(255, Math.max(0, mean + (value - mean) * 2.4)));
}

/** Stretches the glow over a picture, two pixels at a time: it is too soft for the eye to tell. */
export function fillNebula(raster: Raster, nebula: Uint32Array, transform: Transform, strength: number): void {
  const { pixels, stride } = raster;
  const height = raster.height + 2 * PAD;
  const perPixel = CELLS / (2 * REACH * transform.scale);
  const firstColumn = (-PAD - transform.shiftX) * perPixel + CELLS / 2 - 0.5;
  const firstRow = (-PAD - transform.shiftY) * perPixel + CELLS / 2 - 0.5;
  const ground = nebula[0]!; // the rim of the painted square has no glow
  const lines = [0, 8, 16].map((shift) => ({ shift, cells: new Int32Array(CELLS + 1) }));
  const [red, green, blue] = lines.map(({ cells }) => cells) as [Int32Array, Int32Array, Int32Array];
  const step = perPixel * 512;
  const last = (CELLS - 1) * 256;
  for (let top = 0; top < height; top += 2) {
    const row = Math.min(CELLS - 1, Math.max(0, firstRow + top * perPixel));
    const upper = Math.floor(row) * CELLS;
    const lower = Math.min(CELLS - 1, Math.floor(row) + 1) * CELLS;
    const down = row - Math.floor(row);
    // With eight bits more than the screen has, else soft glows show bands.
    for (const { shift, cells } of lines) {
      const low = (ground >>> shift) & 255;
      for (let c = 0; c < CELLS; c++) {
        const above = (nebula[upper + c]! >>> shift) & 255;
        const below = (nebula[lower + c]! >>> shift) & 255;
        cells[c] = 256 * (low + strength * (above + (below - above) * down - low));
      }
      cells[CELLS] = cells[CELLS - 1]!;
    }
    const base = top * stride;
    let column = firstColumn * 256;
    let grain = Math.imul(top + 1, 0x9e3779b1);
    for (let left = 0; left < stride; left += 2, column += step) {
      const at = (column < 0 ? 0 : column > last ? last : column) | 0;
      const cell = at >> 8;
      const share = at & 255;
      const rounding = grain >>> 24;
      const r = red[cell]!;
      const g = green[cell]!;
      const b = blue[cell]!;
      const colour = 0xff000000
        | ((r + (((red[cell + 1]! - r) * share) >> 8) + rounding) >> 8)
        | ((g + (((green[cell + 1]! - g) * share) >> 8) + rounding) & 0xff00)
        | (((b + (((blue[cell + 1]! - b) * share) >> 8) + rounding) & 0xff00) << 8);
      pixels[base + left] = colour;
      pixels[base + left + 1] = colour;
      grain = (Math.imul(grain, 1664525) + 1013904223) | 0;
    }
    if (top + 1 < height) pixels.copyWithin(base + stride, base, base + stride);
  }
}
