/** The legend of colours that stand for a number. */

import type { Colouring } from "../state/store";
import { words } from "../words/words";
import { palette, type Palette } from "./palette";
import { mapScale } from "./sky_state";

export function Ramp({ colouring }: { colouring: Colouring }) {
  const scale = mapScale.value;
  const theme = palette.value;
  if (!scale) return <p class="legend-remark quiet">{words("legend.ask_first")}</p>;
  const { low, high } = scale;
  return (
    <div class="legend-ramp" data-testid="ramp">
      <div class="ramp" ref={(element) => paint(element, theme)} />
      <div class="ramp-ends">
        <span>{low.toFixed(2)}</span>
        <span>{words(colouring === "moved" ? "legend.moved" : "legend.score")}</span>
        <span>{high.toFixed(2)}</span>
      </div>
    </div>
  );
}

function paint(element: HTMLElement | null, { ramp }: Palette): void {
  if (element) element.style.background = `linear-gradient(to right, ${ramp.join(", ")})`;
}
