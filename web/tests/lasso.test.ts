/** Lines drawn by hand, as polygons. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { insidePolygon, MOST_CORNERS, simplified } from "../src/sky/lasso.ts";

type Point = [number, number];

function circle(count: number): Point[] {
  const turn = (2 * Math.PI) / count;
  return Array.from({ length: count }, (_, i) => [Math.cos(turn * i), Math.sin(turn * i)]);
}

test("a long line keeps its shape in few corners", () => {
  const corners = simplified(circle(2_000));
  assert.ok(corners.length <= MOST_CORNERS && corners.length > 20);
  for (const [x, y] of circle(300)) {
    assert.ok(insidePolygon(corners, x * 0.97, y * 0.97));
    assert.ok(!insidePolygon(corners, x * 1.01, y * 1.01));
  }
});

test("corners of straight lines are what stays", () => {
  const along = ([x0, y0]: Point, [x1, y1]: Point): Point[] =>
    Array.from({ length: 50 }, (_, i) => [x0 + ((x1 - x0) * i) / 50, y0 + ((y1 - y0) * i) / 50]);
  const square: Point[] = [[0, 0], [1, 0], [1, 1], [0, 1]];
  const line = square.flatMap((corner, i) => along(corner, square[(i + 1) % 4]!));
  const corners = simplified(line, 5);
  for (const corner of square) assert.ok(corners.some(([x, y]) => Math.hypot(x - corner[0], y - corner[1]) < 1e-9));
});

test("short lines stay as they are", () => {
  assert.deepEqual(simplified([[0, 0], [1, 1]]), [[0, 0], [1, 1]]);
});
