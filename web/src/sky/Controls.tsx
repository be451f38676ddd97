/** Buttons in the map's corner: zoom, everything, lasso. */

import type { ComponentChildren } from "preact";
import { ask, comparing, drawingLasso, type Loaded, question } from "../state/store";
import { words } from "../words/words";
import type { Gestures } from "./gestures";
import { morphing } from "./sky_state";

export function Controls({ here, gestures }: { here: Loaded; gestures: Gestures | null }) {
  const lasso = drawingLasso.value;
  return (
    <div class="sky-controls" data-covers-map role="group" aria-label={words("map.controls")}>
      <Button name={words("map.zoom_in")} id="zoom-in" run={() => gestures?.zoomBy(1.8)}>
        <path d="M12 5v14M5 12h14" />
      </Button>
      <Button name={words("map.zoom_out")} id="zoom-out" run={() => gestures?.zoomBy(1 / 1.8)}>
        <path d="M5 12h14" />
      </Button>
      <Button name={words("map.home")} id="zoom-home" run={() => gestures?.home()}>
        <path d="M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5" />
      </Button>
      <Button
        name={words(lasso ? "map.lasso_cancel" : "map.lasso")}
        id="lasso"
        pressed={lasso}
        run={() => (lasso ? gestures?.cancelLasso() : (drawingLasso.value = true))}
      >
        <ellipse cx="12" cy="10" rx="8.5" ry="5" />
        <path d="M7 14c-1.5 1.2-1.5 2.8 0 3.3s1.3 1.7.5 2.7" />
      </Button>
      {question.value.region && (
        <Button name={words("map.lasso_clear")} id="lasso-clear" run={() => ask({ region: null })}>
          <path d="m6 6 12 12M18 6 6 18" />
        </Button>
      )}
      {comparing.value && here.otherMap && (
        <Button
          name={words("map.morph")} id="morph" pressed={morphing.value} run={() => (morphing.value = !morphing.value)}
        >
          <path d="M4 8h13l-3-3M20 16H7l3 3" />
        </Button>
      )}
    </div>
  );
}

interface ButtonProps {
  name: string;
  id: string;
  pressed?: boolean;
  run: () => void;
  children: ComponentChildren;
}

function Button({ name, id, pressed, run, children }: ButtonProps) {
  return (
    <button type="button" title={name} aria-label={name} data-testid={id} aria-pressed={pressed} onClick={run}>
      <svg viewBox="0 0 24 24" aria-hidden="true">{children}</svg>
    </button>
  );
}
