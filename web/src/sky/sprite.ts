/** The shape of a star in pixels, drawn ahead for every quarter of a pixel that it may be off the grid. */

const STEPS = 4;

export interface Sprite {
  /** Where the shape for a step begins in `offsets` and `weights`; the step is 4 · (quarters down) + quarters right. */
  starts: Uint32Array;
  /** From the pixel the star lies in, in a buffer of the given width. */
  offsets: Int32Array;
  /** How much of a pixel the star covers, 1 to 255. */
  weights: Uint8Array;
  /** Pixels from the middle that it may touch. */
  reach: number;
  /** Mean number of pixels, the cost of drawing one. */
  cost: number;
}

/** A disc of a radius in pixels, with a soft glow around it of a strength from 0 to 1. */
export function makeSprite(radius: number, glow: number, width: number): Sprite {
  const reach = Math.ceil(glow > 0 ? radius * 3 + 1 : radius + 1);
  const starts = new Uint32Array(STEPS * STEPS + 1);
  const offsets: number[] = [];
  const weights: number[] = [];
  for (let step = 0; step < STEPS * STEPS; step++) {
    const middleX = ((step % STEPS) + 0.5) / STEPS - 0.5;
    const middleY = (Math.floor(step / STEPS) + 0.5) / STEPS - 0.5;
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const distance = Math.hypot(dx - middleX, dy - middleY);
        const disc = Math.min(1, Math.max(0, radius + 0.5 - distance)) * Math.min(1, radius * 1.6);
        const halo = glow * Math.max(0, 1 - distance / (radius * 3 + 1)) ** 2;
        const weight = Math.round(255 * Math.max(disc, halo));
        if (weight < 5) continue;
        offsets.push(dy * width + dx);
        weights.push(weight);
      }
    }
    starts[step + 1] = offsets.length;
  }
  return {
    starts,
    offsets: Int32Array.from(offsets),
    weights: Uint8Array.from(weights),
    reach,
    cost: offsets.length / (STEPS * STEPS),
  };
}
