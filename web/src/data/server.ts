/** A universe behind `vu serve`: the only code that talks to it. */

import { type Paging, type Source, SourceError } from "./source";
import type { Answer, Classified, Info, Item, ItemDetails, MapData, Part, Question, Side } from "./types";

const LOOK_AGAIN = 5_000; // ms

export class Server implements Source {
  readonly offline = false;
  private version = "";

  async info(): Promise<Info> {
    const info = await getJson<Info>("api/info");
    this.version = info.version;
    return info;
  }

  async map(side: Side): Promise<MapData> {
    return readMap(await (await get(`api/map?of=${side}`)).arrayBuffer());
  }

  async items(rows: readonly number[], signal?: AbortSignal): Promise<Item[]> {
    const { items } = await getJson<{ items: Item[] }>(`api/map/items?${rows.map((row) => `row=${row}`).join("&")}`,
      { signal });
    return items;
  }

  item(id: string, signal?: AbortSignal): Promise<ItemDetails> {
    return getJson(`api/items/${encodeURIComponent(id)}`, { signal });
  }

  search(question: Question, { k, offset, side }: Paging, signal?: AbortSignal): Promise<Answer> {
    return getJson("api/search", asked(question, { k, offset, of: side }, signal));
  }

  async scores(question: Question, signal?: AbortSignal): Promise<Float32Array> {
    return new Float32Array(await (await get("api/scores", asked(question, {}, signal))).arrayBuffer());
  }

  classify(labels: string[], part: Part, signal?: AbortSignal): Promise<Classified> {
    const files: File[] = [];
    return getJson("api/classify", post({ labels, part: plainPart(part, files) }, files, signal));
  }

  async csv(question: Question): Promise<Blob> {
    return (await get("api/export", asked({ ...question, like: [], without: [], hybrid: false }, {}))).blob();
  }

  /** The version is in the address, so that a browser keeps no picture of an index that has changed. */
  thumbnail({ id }: { id: string }): string {
    return `api/thumbnails/${encodeURIComponent(id)}?v=${encodeURIComponent(this.version)}`;
  }

  watch(changed: (version: string) => void, answered: (whether: boolean) => void): () => void {
    let known: string | null = null;
    const look = async () => {
      if (document.hidden) return;
      const found = await getJson<{ version: string }>("api/health").catch(() => null);
      answered(found !== null);
      if (found && known !== null && found.version !== known) changed(found.version);
      known = found?.version ?? known;
    };
    void look();
    const timer = setInterval(() => void look(), LOOK_AGAIN);
    return () => clearInterval(timer);
  }
}

/** A failure becomes an error whose message can be shown as it is. */
async function get(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new SourceError("The server cannot be reached. Is it still running?");
  }
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  const detail = (body as { detail?: unknown } | null)?.detail;
  throw new SourceError(typeof detail === "string" ? detail : `The server answered ${response.status}.`,
    response.status);
}

async function getJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await (await get(path, init)).json()) as T;
}

function asked(question: Question, more: object, signal?: AbortSignal): RequestInit {
  const files: File[] = [];
  const body = {
    like: question.like.map((part) => plainPart(part, files)),
    without: question.without.map((part) => plainPart(part, files)),
    filters: [
      ...question.labels.map((label) => ({ kind: "has_label", label })),
      ...question.notLabels.map((label) => ({ kind: "not", filter: { kind: "has_label", label } })),
      ...question.conditions.map((condition) => ({ kind: "compare", ...condition })),
    ],
    region: question.region ?? [],
    hybrid: question.hybrid,
    distinct: question.distinct,
    ...more,
  };
  return post(body, files, signal);
}

/** A part as the server takes it; a picture travels beside it and is named by its place among the uploads. */
function plainPart(part: Part, files: File[]): object {
  const { weight } = part;
  if (part.kind === "text") return { text: part.text, weight };
  if (part.kind === "item") return { item: part.id, weight };
  return { upload: files.push(part.file) - 1, weight };
}

function post(body: object, files: File[], signal?: AbortSignal): RequestInit {
  const json = JSON.stringify(body);
  const headers = { "Content-Type": "application/json" };
  if (!files.length) return { method: "POST", body: json, headers, signal: signal ?? null };
  const form = new FormData();
  form.set("query", json);
  for (const file of files) form.append("image", file);
  return { method: "POST", body: form, signal: signal ?? null };
}

/** The map as it travels: a length, a JSON header that names the columns, and the columns, one after the other. */
export function readMap(bytes: ArrayBuffer): MapData {
  const length = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length))) as {
    version: string;
    count: number;
    columns: { name: string; offset: number; length: number }[];
  };
  const at = (name: string) => {
    const column = header.columns.find((one) => one.name === name);
    if (!column) throw new SourceError(`The server's map has no ${name}.`);
    return column;
  };
  const { version, count } = header;
  return {
    version,
    count,
    x: new Float32Array(bytes, at("x").offset, at("x").length),
    y: new Float32Array(bytes, at("y").offset, at("y").length),
    topic: new Uint16Array(bytes, at("topic").offset, at("topic").length),
    labelStart: new Uint32Array(bytes, at("label_start").offset, at("label_start").length),
    labels: new Uint16Array(bytes, at("labels").offset, at("labels").length),
  };
}
