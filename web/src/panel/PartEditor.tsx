/** How much a part counts, and whether to be near it or away from it. */

import type { Part } from "../data/types";
import { reweigh, type Side, turn } from "../state/asking";
import { question } from "../state/store";
import { count, words } from "../words/words";
import { Icon } from "./Icon";
import { nameOf } from "./PartChip";

const WEIGHTS = [0.5, 1, 2, 3, 5];

export function PartEditor({ part, side, onChange }: { part: Part; side: Side; onChange: (part: Part) => void }) {
  const weigh = (weight: number) => {
    const at = question.value[side].indexOf(part);
    reweigh(side, part, weight);
    onChange(question.value[side][at]!);
  };
  return (
    <div class="part-editor" role="group" aria-label={nameOf(part)} data-testid="part-editor">
      <span class="quiet" id="weight-name">{words("search.weight")}</span>
      <div class="segments" role="group" aria-labelledby="weight-name">
        {WEIGHTS.map((weight) => (
          <button key={weight} type="button" aria-pressed={part.weight === weight} onClick={() => weigh(weight)}>
            {weight === 0.5 ? "½" : count(weight)}
          </button>
        ))}
      </div>
      <button type="button" class="pill" data-testid="turn" onClick={() => turn(side, part)}>
        <Icon name="turn" />{side === "like" ? words("search.turn_without") : words("search.turn_like")}
      </button>
    </div>
  );
}
