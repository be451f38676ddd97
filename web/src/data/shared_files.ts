/** The files of a shared page. They are scripts that leave their data here: a page opened from a disk may not fetch. */

import { SourceError } from "./source";
import type { Column, Info } from "./types";
import { words } from "../words/words";

/** What `data/universe.js` leaves. */
export interface SharedUniverse {
  info: Info;
  /** The map as it travels from a server, in base64. */
  map: string;
  /** Items in each file. */
  chunk: number;
  /** Neighbours known of each item. */
  neighbours: number;
  /** The data's own columns. */
  metadata: Column[];
}

/** Ids and titles, by row. */
export interface ItemsFile {
  ids: string[];
  titles: string[];
}

/** Burnt-in texts, predicted labels, and for each of the data's own columns its values, by row. */
export interface DetailsFile {
  ocr: string[];
  predicted: (string | null)[];
  metadata: (string | number | boolean | null)[][];
}

/** Neighbours of each row, nearest first: int32 rows, −1 where there are fewer, and float32 cosines; in base64. */
export interface NearestFile {
  rows: string;
  cosines: string;
}

interface Files {
  items: ItemsFile;
  details: DetailsFile;
  nearest: NearestFile;
}

declare global {
  interface Window {
    SHARED_UNIVERSE?: SharedUniverse;
    SHARED_FILES?: Record<string, unknown>;
  }
}

const asked = new Map<string, Promise<unknown>>();

/** One file of a kind, loaded once. */
export function file<Kind extends keyof Files>(kind: Kind, number: number): Promise<Files[Kind]> {
  const name = `${kind}-${String(number).padStart(4, "0")}`;
  let found = asked.get(name);
  if (!found) {
    found = load(name);
    asked.set(name, found);
    found.catch(() => asked.delete(name)); // to be tried again
  }
  return found as Promise<Files[Kind]>;
}

function load(name: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    const failed = () => reject(new SourceError(words("shared.missing_file", { name: `data/${name}.js` }), 404));
    script.src = `data/${name}.js`;
    script.onload = () => {
      const data = window.SHARED_FILES?.[name];
      delete window.SHARED_FILES?.[name];
      script.remove();
      data === undefined ? failed() : resolve(data);
    };
    script.onerror = () => {
      script.remove();
      failed();
    };
    document.head.append(script);
  });
}

export function fromBase64(text: string): ArrayBuffer {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let place = 0; place < bytes.length; place++) bytes[place] = characters.charCodeAt(place);
  return bytes.buffer;
}
