/** Where a place of the map lies on the screen, in CSS pixels of the sky's canvas. */

import type { Camera } from "../state/store";

/** A part of the canvas that shows a map. */
export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** x → shiftX + scale · x; y → shiftY − scale · y: up on the map is up on the screen. */
export interface View extends Box {
  scale: number;
  shiftX: number;
  shiftY: number;
}

/** Half a map's width and height, in map units. */
export interface Extent {
  x: number;
  y: number;
}

const FARTHEST = 0.5;
const NEAREST = 3000;
/** Free room around a whole map. */
const MARGIN = 1.16;

/** What stands for seeing the whole map, wherever its middle is. */
export const HOME: Camera = { x: 0, y: 0, zoom: 1 };

export function sameCamera(one: Camera, other: Camera): boolean {
  return one.x === other.x && one.y === other.y && one.zoom === other.zoom;
}

export function viewOf(camera: Camera, box: Box, extent: Extent): View {
  const fit = Math.min(box.width / (2 * extent.x), box.height / (2 * extent.y)) / MARGIN;
  const scale = Math.max(1, fit) * camera.zoom;
  return {
    ...box,
    scale,
    shiftX: box.left + box.width / 2 - scale * camera.x,
    shiftY: box.top + box.height / 2 + scale * camera.y,
  };
}

export function toScreen(view: View, x: number, y: number): [number, number] {
  return [view.shiftX + view.scale * x, view.shiftY - view.scale * y];
}

export function toMap(view: View, left: number, top: number): [number, number] {
  return [(left - view.shiftX) / view.scale, (view.shiftY - top) / view.scale];
}

/** The camera that holds the place under (left, top) still while the zoom changes. */
export function zoomedAt(camera: Camera, view: View, left: number, top: number, zoom: number): Camera {
  const bounded = boundedZoom(zoom);
  const [x, y] = toMap(view, left, top);
  const share = camera.zoom / bounded;
  return { x: x + (camera.x - x) * share, y: y + (camera.y - y) * share, zoom: bounded };
}

export function boundedZoom(zoom: number): number {
  return Math.min(NEAREST, Math.max(FARTHEST, zoom));
}

/** The nearest camera that shows every place, with room around; no nearer than `most` times the whole map. */
export function framing(places: readonly [number, number][], box: Box, extent: Extent, most = 8): Camera {
  let [left, right, bottom, top] = [Infinity, -Infinity, Infinity, -Infinity];
  for (const [x, y] of places) {
    left = Math.min(left, x);
    right = Math.max(right, x);
    bottom = Math.min(bottom, y);
    top = Math.max(top, y);
  }
  if (left > right) return HOME;
  const whole = viewOf(HOME, box, extent).scale;
  const room = 1.35;
  const fit = Math.min(box.width / Math.max(1e-6, right - left), box.height / Math.max(1e-6, top - bottom)) / room;
  return { x: (left + right) / 2, y: (bottom + top) / 2, zoom: boundedZoom(Math.min(most, fit / whole)) };
}
