/** Which star is meant by a place of the canvas. */

import { hitRows } from "../state/store";
import type { Scene } from "./scene";
import { visible } from "./star_field";
import { toMap } from "./view";

const PREFETCH_EVERY = 150; // ms
/** Half the side of the square around the mouse whose items are brought here ahead, in CSS pixels. */
const NEAR = 50;
const MOST_PREFETCHED = 100;
/** Stars that a filter dims cannot be pointed at; alpha of 255. */
const FAINT = 40;

export class Picking {
  private lastPrefetch = 0;

  constructor(private readonly scene: Scene) {}

  /** The row of the star under a place, no farther off than `reach` CSS pixels; hits are easier to catch. */
  pick(left: number, top: number, reach: number): number | null {
    const pane = this.scene.paneAt(left, top);
    const picture = pane === 0 ? this.scene.thumbnails.at(left, top) : null;
    if (picture !== null) return picture;
    let best = reach + 6;
    let found: number | null = null;
    for (const row of hitRows.peek()) {
      const place = this.scene.at(row, pane);
      const distance = place ? Math.hypot(place[0] - left, place[1] - top) : Infinity;
      if (distance < best) [best, found] = [distance, row];
    }
    if (found !== null) return found;
    const view = this.scene.views[pane]!;
    const { levels, colours } = this.scene.shown[pane]!;
    const place = levels.nearest(...toMap(view, left, top), reach / view.scale, (at) => colours[at]! >>> 24 > FAINT);
    return place < 0 ? null : levels.row[place]!;
  }

  /** Brings the items around a place here before they are pointed at. */
  prefetch(left: number, top: number): void {
    const now = performance.now();
    if (now - this.lastPrefetch < PREFETCH_EVERY) return;
    this.lastPrefetch = now;
    const { views, shown, loaded: { items } } = this.scene;
    const pane = this.scene.paneAt(left, top);
    const { levels } = shown[pane]!;
    const around = { ...views[pane]!, left: left - NEAR, top: top - NEAR, width: 2 * NEAR, height: 2 * NEAR };
    const rows = levels.within(visible(around), MOST_PREFETCHED).map((place) => levels.row[place]!);
    const missing = rows.filter((row) => !items.peek(row));
    if (missing.length) void items.load(missing);
  }

  /** The row nearest to the middle of the (first) map, as it will be once the camera has arrived. */
  middle(): number | null {
    const { goal: { x, y }, fields } = this.scene;
    const { levels, colours } = fields[0]!;
    for (const reach of [0.02, 0.2, 4]) {
      const place = levels.nearest(x, y, reach, (at) => colours[at]! >>> 24 > FAINT);
      if (place >= 0) return levels.row[place]!;
    }
    return null;
  }
}
