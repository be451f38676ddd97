/** From the map to the screen and back. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { framing, toMap, toScreen, viewOf, zoomedAt } from "../src/sky/view.ts";

const BOX = { left: 10, top: 20, width: 800, height: 500 };
const EXTENT = { x: 1, y: 0.8 };
const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);

test("the screen's place of a map's place leads back to it", () => {
  const view = viewOf({ x: 0.3, y: -0.2, zoom: 7 }, BOX, EXTENT);
  const [x, y] = toMap(view, ...toScreen(view, 0.123, 0.456));
  near(x, 0.123);
  near(y, 0.456);
  assert.deepEqual(toScreen(view, 0.3, -0.2).map(Math.round), [410, 270]);
});

test("the whole map fits at zoom 1", () => {
  const view = viewOf({ x: 0, y: 0, zoom: 1 }, BOX, EXTENT);
  const [left, top] = toScreen(view, -EXTENT.x, EXTENT.y);
  assert.ok(left >= BOX.left && top >= BOX.top);
});

test("zooming holds the place under the mouse still", () => {
  const camera = { x: 0.1, y: 0.2, zoom: 3 };
  const under = toMap(viewOf(camera, BOX, EXTENT), 700, 90);
  const later = toMap(viewOf(zoomedAt(camera, viewOf(camera, BOX, EXTENT), 700, 90, 11), BOX, EXTENT), 700, 90);
  near(under[0], later[0]);
  near(under[1], later[1]);
});

test("framing shows every place, not too near", () => {
  const places: [number, number][] = [[0.1, 0.1], [0.4, -0.3], [0.2, 0.6]];
  const view = viewOf(framing(places, BOX, EXTENT), BOX, EXTENT);
  for (const place of places) {
    const [left, top] = toScreen(view, ...place);
    assert.ok(left > 10 && left < 810 && top > 20 && top < 520);
  }
  assert.equal(framing([[0.5, 0.5]], BOX, EXTENT).zoom, 8);
});
