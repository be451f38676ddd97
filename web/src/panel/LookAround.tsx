/** Before anything is asked: queries to try, and a few items from all over the map. */

import { useEffect, useMemo, useState } from "preact/hooks";
import type { Item } from "../data/types";
import { askWords } from "../state/asking";
import { sampleOf } from "../state/sample";
import type { Loaded } from "../state/store";
import { words } from "../words/words";
import { ResultGrid } from "./ResultGrid";

const SIZE = 24;

export function LookAround({ universe }: { universe: Loaded }) {
  const rows = useMemo(() => sampleOf(universe.map, SIZE), [universe]);
  const [items, setItems] = useState<Item[]>([]);
  useEffect(() => {
    let left = false;
    void universe.items.load(rows).then(() => {
      if (!left) setItems(rows.flatMap((row) => universe.items.peek(row) ?? []));
    });
    return () => {
      left = true;
    };
  }, [universe, rows]);
  const { examples, count } = universe.info;
  if (count === 0) return <p class="state" data-testid="empty">{words("results.empty_universe")}</p>;
  return (
    <section class="found" aria-label={words("results.look_around")}>
      {examples.length > 0 && (
        <div class="examples">
          <p class="quiet" id="examples-name">{words("search.try")}</p>
          <ul class="chips" aria-labelledby="examples-name">
            {examples.map((example) => (
              <li key={example}>
                <button type="button" class="pill" dir="auto" data-testid="example" onClick={() => askWords(example)}>
                  {example}
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
      <div class="found-head"><h2>{words("results.look_around")}</h2></div>
      <ResultGrid universe={universe} hits={items} label={words("results.look_around")} />
    </section>
  );
}
