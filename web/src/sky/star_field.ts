/** The stars of one map: what of them is drawn within the time of a frame, and what follows when all rests. */

import type { MapData } from "../data/types";
import { Levels, type Rectangle } from "./levels";
import { fillNebula, paintNebula } from "./nebula";
import type { Palette } from "./palette";
import { PAD, Raster, type Transform } from "./raster";
import { makeSprite, type Sprite } from "./sprite";
import { type Extent, toMap, type View } from "./view";

export class StarField {
  readonly levels: Levels;
  readonly extent: Extent;
  /** By place; 0xAABBGGRR, alpha is how strong a star shines. */
  readonly colours: Uint32Array;
  private nebula: Uint32Array | null = null;
  private raster: Raster | null = null;
  private sprite: Sprite | null = null;
  /** The bright middle of stars; only where there is room to see it. */
  private core: Sprite | null = null;
  private spriteKey = "";
  private bright = true;
  private strength = 1;
  private way: { x: Float32Array; y: Float32Array } | null = null;
  private transform: Transform = { scale: 1, shiftX: 0, shiftY: 0 };
  /** What is still to be drawn, in runs [start, end) of places. */
  private queue: number[] = [];
  private next = 0;

  constructor(readonly data: MapData) {
    this.levels = new Levels(data.x, data.y);
    const { left, right, bottom, top } = this.levels.bounds;
    this.extent = { x: Math.max(0.1, (right - left) / 2), y: Math.max(0.1, (top - bottom) / 2) };
    this.colours = new Uint32Array(this.levels.count);
  }

  /** Puts stars on their way to their places on another map (0: here, 1: there); one that is not there stays. */
  mix(other: MapData | null, way: number): void {
    this.way = null;
    if (!other || way === 0) return;
    const { x, y, row, count } = this.levels;
    const mixed = { x: new Float32Array(count), y: new Float32Array(count) };
    for (let place = 0; place < count; place++) {
      const dx = other.x[row[place]!]! - x[place]!;
      const dy = other.y[row[place]!]! - y[place]!;
      mixed.x[place] = x[place]! + (dx === dx ? way * dx : 0);
      mixed.y[place] = y[place]! + (dy === dy ? way * dy : 0);
    }
    this.way = mixed;
  }

  get pending(): boolean {
    return this.next < this.queue.length;
  }

  recoloured(theme: Palette): void {
    this.nebula = paintNebula(this.levels, this.colours, theme);
    this.bright = theme.dark;
  }

  /** Starts the picture anew with as many levels as `budget` (in pixels touched) allows. Returns the cost. */
  begin(view: View, zoom: number, ratio: number, budget: number): number {
    const raster = this.fit(view, ratio);
    this.transform = {
      scale: view.scale * ratio,
      shiftX: (view.shiftX - view.left) * ratio,
      shiftY: (view.shiftY - view.top) * ratio,
    };
    // Stars on their way can come from anywhere.
    const inView = this.way ? this.levels.bounds : visible(view, PAD / ratio);
    this.queue = [];
    this.next = 0;
    const ends: number[] = [];
    let stars = 0;
    for (const level of this.levels.levels) {
      stars += this.levels.runs(level, inView, this.queue);
      ends.push(this.queue.length);
    }
    const sprite = this.fitSprite(stars, view, ratio, raster);
    // From close by there is no telling where a glow comes from.
    if (this.nebula) fillNebula(raster, this.nebula, this.transform, 1 / (1 + 0.22 * Math.max(0, zoom - 1)));
    // Crowds shine through one another, so that their density shows; a part of one shines for the stars left out.
    const room = Math.sqrt((view.width * view.height) / Math.max(1, stars));
    this.strength = Math.min(1, 0.22 + 0.26 * room);
    const share = Math.min(1, budget / Math.max(1, stars * (sprite.cost + 4)));
    const strength = Math.min(1, this.strength / Math.sqrt(share));
    let spent = 0;
    for (const end of ends) {
      const cost = this.cost(this.next, end, sprite);
      if (spent > 0 && spent + cost > budget) {
        // The first level that does not fit is drawn faintly in part of its strength, so that stars fade in and out.
        const part = (budget - spent) / cost;
        if (part > 0.15 && spent + cost < 1.6 * budget) this.drawRuns(raster, sprite, this.next, end, part * strength);
        break;
      }
      this.drawRuns(raster, sprite, this.next, end, strength);
      spent += cost;
      this.next = end;
    }
    return spent;
  }

  /** Draws more of what is in view. Returns the cost. */
  refine(budget: number): number {
    const { raster, sprite } = this;
    if (!raster || !sprite) return 0;
    const first = this.next;
    let spent = 0;
    while (this.next < this.queue.length && spent < budget) {
      spent += this.cost(this.next, this.next + 2, sprite);
      this.next += 2;
    }
    this.drawRuns(raster, sprite, first, this.next, this.strength);
    return spent;
  }

  present(context: CanvasRenderingContext2D, view: View, ratio: number): void {
    if (!this.raster) return;
    const left = Math.round(view.left * ratio);
    const top = Math.round(view.top * ratio);
    const { image, width, height } = this.raster;
    context.putImageData(image, left - PAD, top - PAD, PAD, PAD, width, height);
  }

  private cost(from: number, to: number, sprite: Sprite): number {
    let stars = 0;
    for (let run = from; run < to; run += 2) stars += this.queue[run + 1]! - this.queue[run]!;
    return stars * (sprite.cost + 4);
  }

  private drawRuns(raster: Raster, sprite: Sprite, from: number, to: number, strength: number): void {
    const { x, y } = this.way ?? this.levels;
    for (let run = from; run < to; run += 2) {
      const [start, end] = [this.queue[run]!, this.queue[run + 1]!];
      raster.draw(x, y, this.colours, start, end, this.transform, sprite, strength);
      if (this.core) raster.draw(x, y, this.colours, start, end, this.transform, this.core, 0.5 * strength, 0xffffff);
    }
  }

  private fit(view: View, ratio: number): Raster {
    const width = Math.max(1, Math.round(view.width * ratio));
    const height = Math.max(1, Math.round(view.height * ratio));
    if (!this.raster || this.raster.width !== width || this.raster.height !== height) {
      this.raster = new Raster(width, height);
      this.spriteKey = "";
    }
    return this.raster;
  }

  /** Stars are as large as they can be without covering one another, and glow where there are few. */
  private fitSprite(stars: number, view: View, ratio: number, raster: Raster): Sprite {
    const room = Math.sqrt((view.width * view.height) / Math.max(1, stars));
    const radius = Math.round(Math.min(4.2, Math.max(0.7, 0.13 * room + 0.55)) * ratio * 5) / 5;
    const glow = room > 6 ? Math.min(0.4, (room - 6) / 26) : 0;
    const key = `${radius} ${glow.toFixed(2)} ${this.bright}`;
    if (!this.sprite || key !== this.spriteKey) {
      this.sprite = makeSprite(radius, Number(glow.toFixed(2)), raster.stride);
      this.core = this.bright && room > 8 ? makeSprite(0.4 * radius, 0, raster.stride) : null;
      this.spriteKey = key;
    }
    return this.sprite;
  }
}

/** What of the map a view shows, with room around in CSS pixels. */
export function visible(view: View, room = 0): Rectangle {
  const [left, top] = toMap(view, view.left - room, view.top - room);
  const [right, bottom] = toMap(view, view.left + view.width + room, view.top + view.height + room);
  return { left, right, bottom, top };
}
