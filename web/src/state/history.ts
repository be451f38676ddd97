/** Ties the state of the page to the address bar, and to the back and forward buttons. */

import { batch, effect, untracked } from "@preact/signals";
import type { Part, Question } from "../data/types";
import { type Place, read, write } from "./address";
import { chosenLanguage, chosenTheme, takePreferences } from "./preferences";
import {
  camera, colouring, comparing, failure, type Loaded, loaded, opened, question, tab, tried,
} from "./store";

const CAMERA_RESTS = 400; // ms

/** Pictures have no address: those of this visit are kept, and named by their place here. */
const pictures: File[] = [];

interface Remembered {
  like: [picture: number, weight: number][];
  without: [picture: number, weight: number][];
}

/** Reads the address once the universe is here, then keeps both in step. */
export function startHistory(): void {
  let started = false;
  /** The address that was last read or written. */
  let known = "";
  let timer = 0;

  const current = (): string => untracked(() => write(place()));
  const put = (push: boolean) => {
    clearTimeout(timer);
    const hash = current();
    const remembered = remember(question.peek());
    const samePictures = JSON.stringify(remembered) === JSON.stringify(history.state ?? NONE);
    if (hash === known && samePictures) return;
    known = hash;
    const address = `${location.pathname}${location.search}${hash ? `#${hash}` : ""}`;
    if (push) history.pushState(remembered, "", address);
    else history.replaceState(remembered, "", address);
  };
  const restore = async (universe: Loaded) => {
    await apply(universe, location.hash, history.state as Remembered | null);
    started = true;
    known = location.hash.replace(/^#/, "");
    put(false);
  };

  effect(() => {
    const universe = loaded.value;
    if (universe && !started) untracked(() => void restore(universe));
  });
  effect(() => {
    question.value; opened.value; comparing.value; tab.value; tried.value;
    if (started) put(true);
  });
  effect(() => {
    const row = opened.value;
    const items = loaded.value?.items;
    // Its id, by which an address names it, may have to be brought first.
    if (row !== null && items && !items.peek(row)) void items.get(row).then(() => started && put(false));
  });
  effect(() => {
    camera.value; colouring.value; chosenLanguage.value; chosenTheme.value;
    clearTimeout(timer);
    if (started) timer = window.setTimeout(() => put(false), CAMERA_RESTS);
  });
  addEventListener("popstate", () => {
    const universe = loaded.peek();
    started = false;
    takePreferences(location.hash);
    if (universe && failure.peek() === null) void restore(universe);
  });
}

const NONE: Remembered = { like: [], without: [] };

function remember({ like, without }: Question): Remembered {
  const places = (parts: Part[]) => parts.flatMap((part): [number, number][] => {
    if (part.kind !== "picture") return [];
    if (!pictures.includes(part.file)) pictures.push(part.file);
    return [[pictures.indexOf(part.file), part.weight]];
  });
  return { like: places(like), without: places(without) };
}

function recall(places: unknown): Part[] {
  if (!Array.isArray(places)) return [];
  return (places as [number, number][]).flatMap(([place, weight]): Part[] => {
    const file = pictures[place];
    return file ? [{ kind: "picture", file, weight }] : [];
  });
}

function place(): Place {
  const row = opened.value;
  return {
    question: question.value,
    colouring: colouring.value,
    camera: camera.value,
    opened: row === null ? null : (loaded.value?.items.peek(row)?.id ?? null),
    comparing: comparing.value,
    tab: tab.value,
    tried: tried.value,
    language: chosenLanguage.value,
    theme: chosenTheme.value,
  };
}

async function apply(universe: Loaded, hash: string, remembered: Remembered | null): Promise<void> {
  const { source, items, info } = universe;
  const found = read(hash, info);
  if (source.offline) found.tab = "search";
  const [like, without, openedItem] = await Promise.all([
    titled(universe, found.question.like),
    titled(universe, source.offline ? [] : found.question.without),
    found.opened === null ? null : source.item(found.opened).catch(() => null),
  ]);
  if (openedItem) items.keep([openedItem]);
  like.push(...recall(remembered?.like));
  without.push(...recall(remembered?.without));
  batch(() => {
    question.value = { ...found.question, like, without };
    colouring.value = found.colouring;
    camera.value = found.camera;
    opened.value = openedItem?.row ?? null;
    comparing.value = found.comparing;
    tab.value = found.tab;
    tried.value = found.tried;
  });
}

/** The same parts, items with their titles; an item that this universe lacks is left out. */
async function titled({ source }: Loaded, parts: Part[]): Promise<Part[]> {
  const titledParts = await Promise.all(parts.map(async (part) => {
    if (part.kind !== "item") return [part];
    const item = await source.item(part.id).catch(() => null);
    return item ? [{ ...part, title: item.title }] : [];
  }));
  return titledParts.flat();
}
