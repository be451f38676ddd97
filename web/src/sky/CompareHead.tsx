/** The names of the two models over their maps; or between them, how far the stars are on their way. */

import { useSignalEffect } from "@preact/signals";
import type { Info } from "../data/types";
import { words } from "../words/words";
import { calm } from "./motion";
import { morphing, way } from "./sky_state";

const JOURNEY = 1800; // ms

export function CompareHead({ info }: { info: Info }) {
  useSignalEffect(() => (morphing.value ? travel() : undefined));
  if (!info.other) return null;
  if (!morphing.value) {
    return (
      <div class="compare-head" data-testid="compare-head" role="group" aria-label={words("compare.title")}>
        <p data-covers-map>{info.model}</p>
        <p data-covers-map>{info.other.model}</p>
      </div>
    );
  }
  return (
    <div class="compare-way" data-testid="compare-way" data-covers-map>
      <span>{info.model}</span>
      <input
        type="range" min="0" max="1" step="0.01" aria-label={words("compare.way")} value={way.value}
        onInput={(event) => (way.value = event.currentTarget.valueAsNumber)}
      />
      <span>{info.other.model}</span>
    </div>
  );
}

/** Lets the stars fly from this map to the other, once; returns what stops them. */
function travel(): () => void {
  way.value = calm() ? 1 : 0;
  let request = 0;
  let start: number | null = null;
  const step = (now: number) => {
    start ??= now + 400;
    const time = Math.min(1, Math.max(0, (now - start) / JOURNEY));
    way.value = time * time * (3 - 2 * time);
    if (time < 1) request = requestAnimationFrame(step);
  };
  if (!calm()) request = requestAnimationFrame(step);
  return () => cancelAnimationFrame(request);
}
