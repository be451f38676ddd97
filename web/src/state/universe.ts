/** Brings the universe to the page, and brings it anew when its index changes or its server comes back. */

import { batch } from "@preact/signals";
import { ItemCache } from "../data/item_cache";
import type { Source } from "../data/source";
import { words } from "../words/words";
import { camera, failure, type Loaded, loaded, message, opened, reachable } from "./store";

/** The version that was last asked for, so that one change is followed once. */
let wanted: string | null = null;

/** Loads the universe, then keeps it fresh; never fails: `failure` says why it could not be shown. */
export async function open(source: Source): Promise<void> {
  await load(source);
  source.watch((version) => void follow(source, version), (whether) => void answered(source, whether));
}

/** Tries again after a failure. */
export async function load(source: Source): Promise<void> {
  try {
    const universe = await bring(source);
    batch(() => {
      loaded.value = universe;
      failure.value = null;
      reachable.value = true;
    });
  } catch (error) {
    failure.value = lineOf(error);
  }
}

/** Follows a change of the index: the question stays, the rows are those of the new version. */
export async function follow(source: Source, version: string): Promise<void> {
  const before = loaded.value;
  if (!before || wanted === version || before.info.version === version) return;
  wanted = version;
  try {
    const row = opened.value;
    const id = row === null ? undefined : before.items.peek(row)?.id;
    const universe = await bring(source);
    const item = id === undefined ? null : await source.item(id).catch(() => null);
    batch(() => {
      loaded.value = universe;
      opened.value = item?.row ?? null;
      camera.value = { ...camera.value };
      message.value = words("search.index_changed", { count: universe.info.count });
    });
  } catch {
    wanted = null; // The next look tries again.
  }
}

async function answered(source: Source, whether: boolean): Promise<void> {
  if (whether && failure.value !== null) await load(source);
  reachable.value = whether;
}

async function bring(source: Source): Promise<Loaded> {
  const [info, map] = await Promise.all([source.info(), source.map("this")]);
  const otherMap = info.other ? await source.map("other") : null;
  return { source, items: new ItemCache(source), info, map, otherMap };
}

export function lineOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
