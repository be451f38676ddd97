/** Items as CSV, as the server writes it. */

import type { Value } from "./filtering";
import type { Column, Item } from "./types";

export interface CsvRow extends Item {
  predicted: string;
  topic: string;
  x: number;
  y: number;
  metadata: Value[];
}

const RUN_BY_SPREADSHEETS = /^[=+\-@\u0000-\u001f]/;
const TO_BE_QUOTED = /[",\r\n]/;

/** UTF-8 with a byte order mark, so that spreadsheets read every script; `columns` are the data's own. */
export function sharedCsv(columns: readonly Column[], rows: readonly CsvRow[]): Blob {
  const own = columns.map(({ name }) => name);
  const head = ["id", "title", "labels", "predicted_label", "topic", "x", "y", ...own].map(text);
  const lines = rows.map((row) => [
    ...[row.id, row.title, row.labels.join("; "), row.predicted, row.topic].map(text),
    row.x.toFixed(5), row.y.toFixed(5),
    ...row.metadata.map((value, place) => cell(value, columns[place]!)),
  ]);
  return new Blob(["\ufeff", [head, ...lines].map((line) => `${line.join(",")}\r\n`).join("")],
    { type: "text/csv;charset=utf-8" });
}

function cell(value: Value, { kind }: Column): string {
  if (value === null) return "";
  if (typeof value === "string") return text(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  return kind === "float" && Number.isInteger(value) ? value.toFixed(1) : String(value);
}

/** A text that a spreadsheet would run as a formula gets an apostrophe before it. */
function text(value: string): string {
  const plain = RUN_BY_SPREADSHEETS.test(value) ? `'${value}` : value;
  return TO_BE_QUOTED.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
