/**
 * A picture of stars in plain memory. Drawn by the processor on purpose: without a graphics card it is more than ten
 * times faster than WebGL there, one with a card does not miss it, and it works in every browser.
 */

import type { Sprite } from "./sprite";

/** Room beyond the edges, so that no star at an edge needs to be cut. */
export const PAD = 40;

/** What turns map units into pixels of the picture. */
export interface Transform {
  scale: number;
  shiftX: number;
  shiftY: number;
}

export class Raster {
  readonly stride: number;
  readonly image: ImageData;
  readonly pixels: Uint32Array;

  constructor(readonly width: number, readonly height: number) {
    this.stride = width + 2 * PAD;
    this.image = new ImageData(this.stride, height + 2 * PAD);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  /**
   * Draws the stars of places start … end − 1. A colour is 0xAABBGGRR; its alpha is how strong the star shines.
   * With a tint (no alpha) all have that colour.
   */
  draw(
    x: Float32Array, y: Float32Array, colours: Uint32Array, start: number, end: number,
    { scale, shiftX, shiftY }: Transform, { starts, offsets, weights, reach }: Sprite, strength: number,
    tint = 0,
  ): void {
    const { stride, pixels } = this;
    const [right, bottom] = [stride - reach - 1, this.height + 2 * PAD - reach - 1];
    const [firstX, firstY] = [shiftX + PAD, shiftY + PAD];
    const share = Math.round(strength * 257);
    for (let place = start; place < end; place++) {
      const fx = x[place]! * scale + firstX;
      const fy = firstY - y[place]! * scale;
      if (!(fx > reach && fx < right && fy > reach && fy < bottom)) continue;
      const px = fx | 0;
      const py = fy | 0;
      const step = (((fy - py) * 4) << 2) | ((fx - px) * 4);
      const colour = colours[place]!;
      const shine = ((colour >>> 24) * share) >> 8;
      const redBlue = (tint || colour) & 0xff00ff;
      const green = (tint || colour) & 0xff00;
      const base = py * stride + px;
      for (let k = starts[step]!, last = starts[step + 1]!; k < last; k++) {
        const at = base + offsets[k]!;
        const weight = (weights[k]! * shine) >> 8;
        const below = pixels[at]!;
        const otherRedBlue = below & 0xff00ff;
        const otherGreen = below & 0xff00;
        pixels[at] = 0xff000000
          | ((otherRedBlue + (Math.imul(redBlue - otherRedBlue, weight) >> 8)) & 0xff00ff)
          | ((otherGreen + (Math.imul(green - otherGreen, weight) >> 8)) & 0xff00);
      }
    }
  }
}
