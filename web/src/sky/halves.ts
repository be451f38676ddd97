/** Room for two maps: side by side, or one above the other where there is more height than width. */

import type { Box } from "./view";

/** Between two maps, in CSS pixels. */
export const DIVIDER = 6;

export function halves({ width, height }: Box): Box[] {
  if (width >= height) {
    const half = (width - DIVIDER) / 2;
    return [{ left: 0, top: 0, width: half, height }, { left: half + DIVIDER, top: 0, width: half, height }];
  }
  const half = (height - DIVIDER) / 2;
  return [{ left: 0, top: 0, width, height: half }, { left: 0, top: half + DIVIDER, width, height: half }];
}
