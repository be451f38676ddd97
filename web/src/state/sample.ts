/** A few items from all over the map, to look at before anything is asked; always the same ones. */

import type { MapData } from "../data/types";

const CANDIDATES = 400;

/** Rows, each far from those before: the farthest of some that are evenly spread over the index. */
export function sampleOf({ count, x, y }: MapData, size: number): number[] {
  const step = Math.max(1, count / CANDIDATES);
  const left: number[] = [];
  for (let place = 0; place < count; place += step) {
    const row = Math.floor(place);
    if (Number.isFinite(x[row])) left.push(row);
  }
  const distance = left.map(() => Infinity);
  const chosen: number[] = [];
  let next = 0;
  while (chosen.length < Math.min(size, left.length)) {
    const row = left[next]!;
    chosen.push(row);
    distance[next] = -1;
    for (let other = 0; other < left.length; other++) {
      const away = (x[left[other]!]! - x[row]!) ** 2 + (y[left[other]!]! - y[row]!) ** 2;
      distance[other] = Math.min(distance[other]!, away);
    }
    distance[next] = -1;
    next = distance.indexOf(Math.max(...distance));
  }
  return chosen;
}
