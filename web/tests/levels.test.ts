/** The order of stars in levels of detail, against plain loops over all of them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Levels } from "../src/sky/levels.ts";

/** A repeatable stand-in for Math.random. */
function randomly(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function clustered(count: number): { x: Float32Array; y: Float32Array } {
  const random = randomly(count);
  const around = () => random() + random() + random() - 1.5;
  const x = new Float32Array(count);
  const y = new Float32Array(count);
  for (let row = 0; row < count; row++) {
    x[row] = ((row % 7) - 3) / 5 + around() * 0.2;
    y[row] = ((row % 5) - 2) / 4 + around() * 0.1;
  }
  return { x, y };
}

test("every row has one place, and keeps where it lies", () => {
  const { x, y } = clustered(20_000);
  x[7] = NaN;
  const levels = new Levels(x, y);
  assert.equal(levels.count, 19_999);
  assert.equal(levels.place[7], -1);
  assert.equal(new Set(levels.row).size, 19_999);
  for (let place = 0; place < levels.count; place++) {
    const row = levels.row[place]!;
    assert.equal(levels.place[row], place);
    assert.equal(levels.x[place], x[row]);
    assert.equal(levels.y[place], y[row]);
  }
});

test("each level is about twice as large as the one before", () => {
  const { x, y } = clustered(200_000);
  const { levels } = new Levels(x, y);
  assert.ok(levels.length > 5);
  const sizes = levels.map(({ start, end }) => end - start);
  for (let l = 2; l < sizes.length; l++) assert.ok(Math.abs(sizes[l]! / sizes[l - 1]! - 2) < 0.3, String(sizes));
});

test("the first level leaves no lonely star out", () => {
  const { x, y } = clustered(50_000);
  x[49_999] = 5;
  const { levels, place } = new Levels(x, y);
  assert.ok(place[49_999]! < levels[0]!.end);
});

test("runs hold every star of a rectangle, and few others", () => {
  const { x, y } = clustered(30_000);
  const stars = new Levels(x, y);
  const within = { left: -0.31, right: 0.12, bottom: -0.2, top: 0.25 };
  const found = new Set<number>();
  for (const level of stars.levels) {
    const runs: number[] = [];
    const size = stars.runs(level, within, runs);
    let held = 0;
    for (let run = 0; run < runs.length; run += 2) {
      held += runs[run + 1]! - runs[run]!;
      for (let place = runs[run]!; place < runs[run + 1]!; place++) found.add(stars.row[place]!);
    }
    assert.equal(held, size);
  }
  const inside = [...x.keys()].filter((row) =>
    x[row]! >= within.left && x[row]! <= within.right && y[row]! >= within.bottom && y[row]! <= within.top);
  assert.ok(inside.every((row) => found.has(row)));
  assert.ok(found.size < inside.length * 2);
  assert.deepEqual(stars.within(within, 1e9).map((place) => stars.row[place]!).sort(), inside.sort());
});

test("the nearest star is the one that a loop over all finds", () => {
  const { x, y } = clustered(5_000);
  const stars = new Levels(x, y);
  const random = randomly(1);
  for (let turn = 0; turn < 200; turn++) {
    const [px, py] = [random() * 2 - 1, random() * 1.2 - 0.6];
    const distances = Float64Array.from(x, (value, row) => Math.hypot(value - px, y[row]! - py));
    const least = Math.min(...distances);
    const place = stars.nearest(px, py, 0.05);
    if (least > 0.0501) assert.equal(place, -1);
    else if (least < 0.0499) assert.ok(Math.abs(distances[stars.row[place]!]! - least) < 1e-6);
  }
});

test("no stars, one star and stars in one place have levels too", () => {
  assert.equal(new Levels(new Float32Array(0), new Float32Array(0)).count, 0);
  assert.equal(new Levels(new Float32Array([0.5]), new Float32Array([0.5])).nearest(0.5, 0.5, 0.1), 0);
  const heap = new Levels(new Float32Array(5_000), new Float32Array(5_000));
  assert.equal(heap.within({ left: -1, right: 1, bottom: -1, top: 1 }, 1e9).length, 5_000);
});
