/** What only the map's own parts tell each other. */

import { signal } from "@preact/signals";
import type { Scale } from "./star_colours";

/** What the ends of the colour ramp stand for, where there is one. */
export const mapScale = signal<Scale | null>(null);
/** While comparing: one map whose stars fly between their two places, instead of two maps. */
export const morphing = signal(false);
/** How far the stars are on their way: 0 on this map, 1 on the other. */
export const way = signal(0);
