/** Ways in which the camera moves by itself: each gives the camera of a moment, and null once it has arrived. */

import type { Camera } from "../state/store";
import { type View, zoomedAt } from "./view";

export interface Motion {
  /** `elapsed`: milliseconds since the last step. */
  step(camera: Camera, view: View, elapsed: number): Camera | null;
}

export function calm(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Flies to another camera along a path that keeps one place of the map still while it zooms. */
export class Flight implements Motion {
  private passed = 0;
  private from: Camera | null = null;

  constructor(private readonly to: Camera, private readonly duration = 520) {}

  step(camera: Camera, _: View, elapsed: number): Camera | null {
    this.from ??= camera;
    this.passed += Math.min(elapsed, 50);
    const time = Math.min(1, this.passed / this.duration);
    if (time >= 1) return null;
    const eased = time < 0.5 ? 4 * time ** 3 : 1 - (2 - 2 * time) ** 3 / 2;
    const { from, to } = this;
    const zoom = from.zoom * (to.zoom / from.zoom) ** eased;
    const ratio = to.zoom / from.zoom;
    const along = Math.abs(ratio - 1) < 0.02 ? eased : (1 / zoom - 1 / from.zoom) / (1 / to.zoom - 1 / from.zoom);
    return { x: from.x + (to.x - from.x) * along, y: from.y + (to.y - from.y) * along, zoom };
  }

  get target(): Camera {
    return this.to;
  }
}

/** Follows the wheel smoothly: a share of the way in every frame, with the place under the mouse held still. */
export class WheelZoom implements Motion {
  constructor(private goal: number, private left: number, private top: number) {}

  add(factor: number, left: number, top: number): void {
    this.goal *= factor;
    [this.left, this.top] = [left, top];
  }

  step(camera: Camera, view: View, elapsed: number): Camera | null {
    const share = 1 - Math.exp(-elapsed / 55);
    const zoom = camera.zoom * (this.goal / camera.zoom) ** share;
    const moved = zoomedAt(camera, view, this.left, this.top, zoom);
    // The bounds of zooming, or arrival.
    if (Math.abs(Math.log(moved.zoom / camera.zoom)) < 0.0004) return null;
    return moved;
  }
}

/** Lets a thrown map glide a little. Speeds in CSS pixels a millisecond. */
export class Glide implements Motion {
  constructor(private right: number, private down: number) {}

  step(camera: Camera, view: View, elapsed: number): Camera | null {
    const kept = Math.exp(-elapsed / 120);
    const [dx, dy] = [this.right * elapsed, this.down * elapsed];
    this.right *= kept;
    this.down *= kept;
    if (Math.hypot(this.right, this.down) < 0.02) return null;
    return { ...camera, x: camera.x - dx / view.scale, y: camera.y + dy / view.scale };
  }
}
