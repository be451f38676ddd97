/** A few pictures from anywhere on the map, to look at before anything is asked. */

import type { Hit, MapData } from "./api";

const SIZE = 24;

export function sampleOf(data: MapData): Hit[] {
  const chosen = new Set<number>();
  const size = Math.min(SIZE, data.ids.length);
  while (chosen.size < size) chosen.add(Math.floor(Math.random() * data.ids.length));
  return [...chosen].map((index) => ({
    index,
    id: data.ids[index]!,
    title: data.titles[index]!,
    labels: [],
    score: null,
  }));
}
