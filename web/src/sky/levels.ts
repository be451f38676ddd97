/**
 * Stars in levels of detail: each level holds about twice as many as all before it, picked at random, so that the first
 * levels alone already show the whole map. Within a level they lie in the order of a grid's cells: what is in view, or
 * near the mouse, is a few runs of neighbouring numbers. A star's number in this order is its place.
 */

/** Side of the grid that the first level takes one star a cell from: no lonely star is ever left out. */
const SPREAD = 48;
const SMALLEST_LEVEL = 2048;
const STARS_A_CELL = 32;

export interface Level {
  /** Places start … end − 1. */
  start: number;
  end: number;
  /** Cells along one side of the grid. */
  cells: number;
  /** First place of each cell, row by row from the bottom, and the end. */
  cellStarts: Uint32Array;
}

/** A rectangle of the map. */
export interface Rectangle {
  left: number;
  right: number;
  bottom: number;
  top: number;
}

export class Levels {
  readonly count: number;
  /** Map places, by place in the order of levels. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly row: Uint32Array;
  /** By row; −1 for rows without a place on the map. */
  readonly place: Int32Array;
  readonly levels: Level[] = [];
  readonly bounds: Rectangle;

  constructor(x: Float32Array, y: Float32Array) {
    this.bounds = boundsOf(x, y);
    const level = levelsOf(x, y, this.bounds);
    const every = new Uint32Array(256);
    for (let row = 0; row < level.length; row++) every[level[row]!]!++;
    every[NOWHERE] = 0;
    const sizes = every.slice(0, every.reduce((last, size, number) => (size ? number + 1 : last), 0));
    this.count = sizes.reduce((sum, size) => sum + size, 0);
    this.x = new Float32Array(this.count);
    this.y = new Float32Array(this.count);
    this.row = new Uint32Array(this.count);
    this.place = new Int32Array(x.length).fill(-1);
    this.sort(x, y, level, sizes);
  }

  /** A counting sort by level and cell. */
  private sort(x: Float32Array, y: Float32Array, level: Uint8Array, sizes: Uint32Array): void {
    const sides = Float64Array.from(sizes, (size) =>
      Math.max(1, Math.min(256, Math.ceil(Math.sqrt(size / STARS_A_CELL)))));
    const offsets = new Uint32Array(sizes.length + 1);
    for (let l = 0; l < sizes.length; l++) offsets[l + 1] = offsets[l]! + sides[l]! ** 2 + 1;
    const next = new Uint32Array(offsets[sizes.length]!);
    const { left, bottom, right, top } = this.bounds;
    const [width, height] = [right - left, top - bottom];
    const cellOf = (row: number, l: number) => {
      const side = sides[l]!;
      const column = Math.min(side - 1, Math.floor(((x[row]! - left) / width) * side));
      const line = Math.min(side - 1, Math.floor(((y[row]! - bottom) / height) * side));
      return offsets[l]! + line * side + column;
    };
    for (let row = 0; row < x.length; row++) {
      if (level[row] !== NOWHERE) next[cellOf(row, level[row]!)]!++;
    }
    let start = 0;
    for (let l = 0; l < sizes.length; l++) {
      const first = start;
      for (let cell = offsets[l]!; cell < offsets[l + 1]! - 1; cell++) {
        const size = next[cell]!;
        next[cell] = start;
        start += size;
      }
      next[offsets[l + 1]! - 1] = start;
      const cellStarts = next.slice(offsets[l]!, offsets[l + 1]!);
      this.levels.push({ start: first, end: start, cells: sides[l]!, cellStarts });
    }
    for (let row = 0; row < x.length; row++) {
      if (level[row] === NOWHERE) continue;
      const place = next[cellOf(row, level[row]!)]!++;
      this.x[place] = x[row]!;
      this.y[place] = y[row]!;
      this.row[place] = row;
      this.place[row] = place;
    }
  }

  /** Appends the runs [start, end) of places whose cells touch a rectangle; returns how many stars they hold. */
  runs(level: Level, within: Rectangle, runs: number[]): number {
    const { left, bottom, right, top } = this.bounds;
    const { cells, cellStarts } = level;
    const cell = (value: number, from: number, to: number) =>
      Math.max(0, Math.min(cells - 1, Math.floor(((value - from) / (to - from)) * cells)));
    if (within.right < left || within.left > right || within.top < bottom || within.bottom > top) return 0;
    const [c0, c1] = [cell(within.left, left, right), cell(within.right, left, right)];
    const [r0, r1] = [cell(within.bottom, bottom, top), cell(within.top, bottom, top)];
    let stars = 0;
    let open = -1;
    for (let r = r0; r <= r1; r++) {
      const start = cellStarts[r * cells + c0]!;
      const end = cellStarts[r * cells + c1 + 1]!;
      if (end === start) continue;
      if (open === start) runs[runs.length - 1] = end;
      else runs.push(start, end);
      open = end;
      stars += end - start;
    }
    return stars;
  }

  /** Places within a rectangle, best-spread first, no more than `most`. */
  within(within: Rectangle, most: number): number[] {
    const found: number[] = [];
    for (const level of this.levels) {
      const runs: number[] = [];
      this.runs(level, within, runs);
      for (let run = 0; run < runs.length; run += 2) {
        for (let place = runs[run]!; place < runs[run + 1]!; place++) {
          const x = this.x[place]!;
          const y = this.y[place]!;
          if (x < within.left || x > within.right || y < within.bottom || y > within.top) continue;
          if (found.length >= most) return found;
          found.push(place);
        }
      }
    }
    return found;
  }

  /** The place of the star nearest to (x, y) within `reach` for which `wanted` holds; −1 where there is none. */
  nearest(x: number, y: number, reach: number, wanted?: (place: number) => boolean): number {
    const within = { left: x - reach, right: x + reach, bottom: y - reach, top: y + reach };
    let best = reach * reach;
    let found = -1;
    for (const level of this.levels) {
      const runs: number[] = [];
      this.runs(level, within, runs);
      for (let run = 0; run < runs.length; run += 2) {
        for (let place = runs[run]!; place < runs[run + 1]!; place++) {
          const dx = this.x[place]! - x;
          const dy = this.y[place]! - y;
          const distance = dx * dx + dy * dy;
          if (distance > best || (distance === best && found >= 0) || (wanted && !wanted(place))) continue;
          best = distance;
          found = place;
        }
      }
    }
    return found;
  }
}

const NOWHERE = 255;

function boundsOf(x: Float32Array, y: Float32Array): Rectangle {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let row = 0; row < x.length; row++) {
    const px = x[row]!;
    const py = y[row]!;
    if (px !== px || py !== py) continue;
    if (px < left) left = px;
    if (px > right) right = px;
    if (py < bottom) bottom = py;
    if (py > top) top = py;
  }
  if (left > right) return { left: -1, right: 1, bottom: -1, top: 1 };
  // A map of one place still needs cells with a width.
  return { left, right: Math.max(right, left + 1e-6), bottom, top: Math.max(top, bottom + 1e-6) };
}

function levelsOf(x: Float32Array, y: Float32Array, { left, bottom, right, top }: Rectangle): Uint8Array {
  const finest = Math.max(0, Math.ceil(Math.log2(x.length / SMALLEST_LEVEL)));
  const level = new Uint8Array(x.length);
  const taken = new Uint8Array(SPREAD * SPREAD);
  for (let row = 0; row < x.length; row++) {
    const px = x[row]!;
    const py = y[row]!;
    if (px !== px || py !== py) {
      level[row] = NOWHERE;
      continue;
    }
    const column = Math.min(SPREAD - 1, Math.floor(((px - left) / (right - left)) * SPREAD));
    const cell = Math.min(SPREAD - 1, Math.floor(((py - bottom) / (top - bottom)) * SPREAD)) * SPREAD + column;
    // The number of leading zeros of a random number halves from level to level.
    level[row] = taken[cell] ? Math.max(0, finest - Math.clz32(scattered(row))) : 0;
    taken[cell] = 1;
  }
  return level;
}

/** Evenly spread bits of a number, the same on every visit. */
function scattered(value: number): number {
  let bits = Math.imul(value + 1, 0x9e3779b1);
  bits = Math.imul(bits ^ (bits >>> 15), 0x85ebca6b);
  return (bits ^ (bits >>> 13)) >>> 0;
}
