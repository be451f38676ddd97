/** The state of the page as readable parameters after the `#`: written whole, read leniently.
 *
 * `q` and `item` are asked for, `not` and `not-item` stayed away from, `q*2` weighs twice; pictures have no address.
 */

import { heldLabels } from "../data/same_label";
import { type Condition, type Info, NOTHING_ASKED, type Part, type Point, type Question } from "../data/types";
import { type Language, LANGUAGES } from "../words/words";
import { type Theme, THEMES } from "./preferences";
import type { Camera, Colouring, Tab } from "./store";

export interface Place {
  question: Question;
  colouring: Colouring;
  camera: Camera;
  /** The id of the opened item. */
  opened: string | null;
  comparing: boolean;
  tab: Tab;
  tried: string[];
  /** null: the reader's own. */
  language: Language | null;
  theme: Theme | null;
}

const COLOURINGS: readonly Colouring[] = ["label", "topic", "score", "moved"];
const OPERATORS: readonly Condition["operator"][] = ["!=", "<=", ">=", "=", "<", ">"];
const MOST = 50; // of one kind of parameter
const MOST_POINTS = 200;
const KEY = /^(q|item|not|not-item)(?:\*(\d+(?:\.\d+)?))?$/;

export function write(place: Place): string {
  const { question } = place;
  const to = new URLSearchParams();
  for (const part of question.like) writePart(to, part, "q", "item");
  for (const part of question.without) writePart(to, part, "not", "not-item");
  for (const label of question.labels) to.append("label", label);
  for (const label of question.notLabels) to.append("no-label", label);
  for (const { column, operator, value } of question.conditions) to.append("where", `${column}${operator}${value}`);
  if (question.region) to.set("region", question.region.map((point) => point.map(short).join(",")).join(";"));
  if (question.hybrid) to.set("hybrid", "1");
  if (question.distinct) to.set("distinct", "1");
  if (place.colouring !== "label") to.set("colour", place.colouring);
  if (place.opened !== null) to.set("open", place.opened);
  if (place.comparing) to.set("compare", "1");
  if (place.tab !== "search") to.set("tab", place.tab);
  for (const label of place.tried) to.append("try", label);
  const { x, y, zoom } = place.camera;
  if (x !== 0 || y !== 0 || zoom !== 1) to.set("camera", [short(x), short(y), short(zoom)].join(","));
  if (place.language) to.set("lang", place.language);
  if (place.theme) to.set("theme", place.theme);
  return to.toString().replaceAll("%2C", ",").replaceAll("%3B", ";");
}

function writePart(to: URLSearchParams, part: Part, text: string, item: string): void {
  if (part.kind === "picture") return;
  const weight = part.weight === 1 ? "" : `*${short(part.weight)}`;
  if (part.kind === "text") to.append(text + weight, part.text);
  else to.append(item + weight, part.id);
}

/** What an address says; whatever makes no sense in this universe is left out. Items have their ids for titles. */
export function read(address: string, info: Info): Place {
  const from = new URLSearchParams(address.replace(/^#/, ""));
  const all = (key: string) => [...new Set(from.getAll(key))].filter(Boolean).slice(0, MOST);
  const colour = from.get("colour") as Colouring;
  const tab = from.get("tab");
  const question: Question = {
    ...NOTHING_ASKED,
    like: readParts(from, "q", "item"),
    without: readParts(from, "not", "not-item"),
    labels: heldLabels(info.labels, all("label")),
    notLabels: heldLabels(info.labels, all("no-label")),
    conditions: all("where").flatMap((text) => readCondition(text, info) ?? []),
    region: readRegion(from.get("region")),
    hybrid: from.get("hybrid") === "1",
    distinct: from.get("distinct") === "1",
  };
  return {
    question,
    colouring: COLOURINGS.includes(colour) ? colour : "label",
    camera: readCamera(from.get("camera")),
    opened: from.get("open") || null,
    comparing: from.get("compare") === "1" && info.other !== null,
    tab: tab === "labels" ? tab : "search",
    tried: all("try"),
    ...readPreferences(address),
  };
}

export function readPreferences(address: string): Pick<Place, "language" | "theme"> {
  const from = new URLSearchParams(address.replace(/^#/, ""));
  return {
    language: LANGUAGES.find((one) => one === from.get("lang")) ?? null,
    theme: THEMES.find((one) => one === from.get("theme")) ?? null,
  };
}

function readParts(from: URLSearchParams, text: string, item: string): Part[] {
  const parts: Part[] = [];
  for (const [key, value] of from) {
    const [, kind, written] = KEY.exec(key) ?? [];
    const weight = written === undefined ? 1 : Number(written);
    if (!value.trim() || !(weight > 0 && weight <= 100) || parts.length === MOST) continue;
    if (kind === text) parts.push({ kind: "text", text: value, weight });
    else if (kind === item) parts.push({ kind: "item", id: value, title: value, weight });
  }
  return parts;
}

function readCondition(text: string, info: Info): Condition | null {
  for (const { name } of info.columns) {
    const operator = text.startsWith(name) && OPERATORS.find((one) => text.startsWith(one, name.length));
    if (operator) return { column: name, operator, value: text.slice(name.length + operator.length) };
  }
  return null;
}

function readRegion(text: string | null): Point[] | null {
  const points = (text ?? "").split(";").map((point) => point.split(",").map(Number));
  const sound = points.every((point) => point.length === 2 && point.every((value) => Math.abs(value) <= 10));
  return sound && points.length >= 3 && points.length <= MOST_POINTS ? (points as Point[]) : null;
}

function readCamera(text: string | null): Camera {
  const [x = NaN, y = NaN, zoom = NaN, ...rest] = (text ?? "").split(",").map(Number);
  const sound = !rest.length && Math.abs(x) <= 10 && Math.abs(y) <= 10 && zoom >= 0.1 && zoom <= 1e5;
  return sound ? { x, y, zoom } : { x: 0, y: 0, zoom: 1 };
}

/** Four figures behind the point are plenty for a map of [-1, 1]. */
function short(value: number): string {
  return String(Math.round(value * 1e4) / 1e4);
}
