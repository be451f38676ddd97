/** How sure the model is of a hit: a probability where it is calibrated, else how near the hit is. */

import type { Hit } from "../data/types";
import { percent, words } from "../words/words";
import { Bar } from "./Bar";

/** `best` is the highest cosine among the hits: its bar is full. */
export function Score({ hit, best }: { hit: Hit; best: number }) {
  if (hit.probability !== null) {
    return (
      <span class="score" title={words("results.probability_note")} data-testid="score">
        <Bar share={hit.probability} />
        <span class="score-number">{words("results.likely", { percent: percent(hit.probability) })}</span>
      </span>
    );
  }
  if (hit.score === null) return null;
  return (
    <span class="score" title={words("results.cosine_note")} data-testid="score">
      <Bar share={best > 0 ? hit.score / best : 0} />
      <span class="score-number">
        <span class="sr-only">{words("results.cosine")} </span>{hit.score.toFixed(2)}
      </span>
    </span>
  );
}
