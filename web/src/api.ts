/** The server's answers, and the only code that talks to it. */

export interface Label {
  name: string;
  count: number;
}

export interface Info {
  name: string;
  count: number;
  dimension: number;
  labels: Label[];
  attribution: string;
  version: string;
  examples: string[];
}

export interface MapData {
  ids: string[];
  titles: string[];
  x: Float32Array;
  y: Float32Array;
  /** Index in Info.labels; -1 where an item has none. */
  label: Int32Array;
}

export interface Hit {
  index: number;
  id: string;
  title: string;
  labels: string[];
  /** Cosine similarity; null where nothing was asked. */
  score: number | null;
}

export interface Answer {
  hits: Hit[];
  position: { x: number; y: number } | null;
}

const HITS = 24;

/** Fetches JSON; a failure becomes an Error whose message can be shown as it is. */
async function getJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Error("The server cannot be reached. Is it still running?");
  }
  if (response.ok) return (await response.json()) as T;
  const body: unknown = await response.json().catch(() => null);
  const detail = (body as { detail?: unknown } | null)?.detail;
  throw new Error(typeof detail === "string" ? detail : `The server answered ${response.status}.`);
}

export function getInfo(): Promise<Info> {
  return getJson<Info>("api/info");
}

export async function getMap(): Promise<MapData> {
  type Plain = { ids: string[]; titles: string[]; x: number[]; y: number[]; label: number[] };
  const plain = await getJson<Plain>("api/map");
  return {
    ids: plain.ids,
    titles: plain.titles,
    x: Float32Array.from(plain.x),
    y: Float32Array.from(plain.y),
    label: Int32Array.from(plain.label),
  };
}

export function search(text: string, image: File | null, signal: AbortSignal): Promise<Answer> {
  const form = new FormData();
  if (text) form.set("text", text);
  if (image) form.set("image", image);
  form.set("k", String(HITS));
  return getJson<Answer>("api/search", { method: "POST", body: form, signal });
}

export function neighbours(id: string, signal: AbortSignal): Promise<Answer> {
  return getJson<Answer>(`api/items/${encodeURIComponent(id)}/neighbours?k=${HITS}`, { signal });
}

export function thumbnailUrl(id: string): string {
  return `thumbnails/${encodeURIComponent(id)}`;
}
