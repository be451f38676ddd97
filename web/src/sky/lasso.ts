/** A line drawn by hand becomes a polygon of few corners. */

import type { Point } from "../data/types";

export const MOST_CORNERS = 60;

/** Douglas and Peucker's simplification, as coarse as it must be to leave at most `most` corners. */
export function simplified(line: readonly Point[], most = MOST_CORNERS): Point[] {
  if (line.length <= 3) return [...line];
  const significance = new Float64Array(line.length);
  significance[0] = significance[line.length - 1] = Infinity;
  const spans: [number, number, number][] = [[0, line.length - 1, Infinity]];
  for (let span = spans.pop(); span; span = spans.pop()) {
    const [from, to, above] = span;
    let farthest = -1;
    let best = -1;
    for (let i = from + 1; i < to; i++) {
      const distance = distanceToSegment(line[i]!, line[from]!, line[to]!);
      if (distance > best) [best, farthest] = [distance, i];
    }
    if (farthest < 0) continue;
    // No corner counts more than the one it was found under, so that corners are kept from the coarse to the fine.
    significance[farthest] = Math.min(best, above);
    spans.push([from, farthest, significance[farthest]!], [farthest, to, significance[farthest]!]);
  }
  const limit = Float64Array.from(significance).sort().reverse()[Math.min(most, line.length) - 1]!;
  const kept = line.filter((_, i) => significance[i]! >= limit && significance[i]! > 0);
  return kept.slice(0, most);
}

function distanceToSegment([x, y]: Point, [x0, y0]: Point, [x1, y1]: Point): number {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx * dx + dy * dy;
  const along = length ? Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / length)) : 0;
  return Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
}

/** By counting crossings of a ray to the right. */
export function insidePolygon(corners: readonly Point[], x: number, y: number): boolean {
  let inside = false;
  for (let i = 0, j = corners.length - 1; i < corners.length; j = i++) {
    const [xi, yi] = corners[i]!;
    const [xj, yj] = corners[j]!;
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}
