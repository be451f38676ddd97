/** Results as a grid of pictures, best first. */

import type { Hit, Item } from "../data/types";
import { busy, type Loaded } from "../state/store";
import { words } from "../words/words";
import { ResultCard } from "./ResultCard";
import { Score } from "./Score";

interface Props {
  universe: Loaded;
  hits: readonly (Hit | Item)[];
  narrow?: boolean;
  /** What to say about the hit at a place, beneath its score. */
  remark?: (hit: Item, place: number) => preact.ComponentChildren;
  label?: string;
}

export function ResultGrid({ universe, hits, narrow = false, remark, label }: Props) {
  const scores = hits.map((hit) => ("score" in hit && hit.score) || 0);
  const best = Math.max(...scores);
  return (
    <ol class={narrow ? "results narrow" : "results"} aria-label={label ?? words("results.list")}
      aria-busy={busy.value} data-testid="results">
      {hits.map((hit, place) => (
        <ResultCard key={hit.id} item={hit} universe={universe} rank={"score" in hit ? place + 1 : null}>
          {"score" in hit && <Score hit={hit} best={best} />}
          {remark?.(hit, place)}
        </ResultCard>
      ))}
    </ol>
  );
}
