/** Filters as the server understands them, for a page that has none. */

import { SourceError } from "./source";
import type { Column, Condition, Point } from "./types";
import { writtenNumber } from "./written_numbers";
import { words } from "../words/words";

export type Value = string | number | boolean | null;

/**
 * Whether a value passes. A missing value passes nothing but `!=`, which is the negation of `=`; texts compare case and
 * all, and have no order that a number could be put in. Throws a SourceError where the condition makes no sense for the column.
 */
export function test(condition: Condition, column: Column): (value: Value) => boolean {
  const wanted = typed(condition.value, column);
  const ordered = condition.operator !== "=" && condition.operator !== "!=";
  if (column.kind === "bool" && ordered) {
    throw new SourceError(words("shared.not_comparable", { column: column.name }), 400);
  }
  if (column.kind === "text" && ordered && writtenNumber(condition.value) !== null) {
    throw new SourceError(words("shared.no_order", { column: column.name, value: condition.value }), 400);
  }
  switch (condition.operator) {
    case "=": return (value) => value === wanted;
    case "!=": return (value) => value !== wanted;
    case "<": return (value) => value !== null && value < wanted;
    case "<=": return (value) => value !== null && value <= wanted;
    case ">": return (value) => value !== null && value > wanted;
    case ">=": return (value) => value !== null && value >= wanted;
  }
}

function typed(text: string, { name, kind }: Column): string | number | boolean {
  if (kind === "text") return text;
  const plain = text.trim().toLowerCase();
  if (kind === "bool" && (plain === "true" || plain === "false")) return plain === "true";
  const number = kind === "bool" || !plain ? NaN : writtenNumber(plain) ?? Number(plain);
  if (!Number.isFinite(number) || (kind === "int" && !Number.isInteger(number))) {
    throw new SourceError(words("shared.wrong_value", { column: name, value: text }), 400);
  }
  return number;
}

/** Whether a place lies inside a polygon, by the even-odd rule. */
export function isInside(x: number, y: number, region: readonly Point[]): boolean {
  let inside = false;
  region.forEach(([x1, y1], place) => {
    const [x2, y2] = region[(place + 1) % region.length]!;
    if (y1 > y !== y2 > y && x < x1 + ((y - y1) / (y2 - y1)) * (x2 - x1)) inside = !inside;
  });
  return inside;
}
