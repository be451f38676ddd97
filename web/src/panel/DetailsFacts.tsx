/** What is known of an item: labels, topic, words in the picture, columns of the data. */

import type { ItemDetails } from "../data/types";
import { addLabel } from "../state/asking";
import { count, words } from "../words/words";

export function DetailsFacts({ item }: { item: ItemDetails }) {
  const rows: [string, string][] = [];
  if (item.topic) rows.push([words("details.topic"), item.topic]);
  if (item.predicted_label) rows.push([words("details.predicted"), item.predicted_label]);
  if (item.ocr) rows.push([words("details.ocr"), item.ocr]);
  for (const [name, value] of Object.entries(item.metadata)) rows.push([name, written(value)]);
  rows.push([words("details.id"), item.id]);
  return (
    <>
      {item.labels.length > 0 && (
        <ul class="chips" aria-label={words("details.labels")}>
          {item.labels.map((name) => (
            <li key={name}>
              <button type="button" class="pill" dir="auto" title={words("details.filter_by", { name })}
                data-testid="details-label" onClick={() => addLabel(name)}>
                {name}
              </button>
            </li>
          ))}
        </ul>
      )}
      <dl class="facts">
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt dir="auto">{name}</dt>
            <dd dir="auto">{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

function written(value: string | number | boolean): string {
  if (typeof value === "boolean") return value ? words("search.yes") : words("search.no");
  // Years and other whole numbers are left as they are: 1999, not 1,999.
  return typeof value === "number" && !Number.isInteger(value) ? count(value) : String(value);
}
