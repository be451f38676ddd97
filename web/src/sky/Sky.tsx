/** The map side of the page. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import {
  ask, comparing, drawingLasso, failure, hovered, type Loaded, loaded, opened,
} from "../state/store";
import { words } from "../words/words";
import { CompareHead } from "./CompareHead";
import { Controls } from "./Controls";
import { Gestures } from "./gestures";
import { HoverCard } from "./HoverCard";
import { Legend } from "./Legend";
import { Scene } from "./scene";
import { Spoken } from "./Spoken";

declare global {
  interface Window {
    /** For tests and measurements. */
    vectorUniverse?: {
      screenPosition(row: number): [number, number] | null;
      frames(): number;
    };
  }
}

export const scene = signal<Scene | null>(null);
const gestures = signal<Gestures | null>(null);

export function Sky() {
  const here = loaded.value;
  const failed = failure.value;
  return (
    <main class="sky" data-testid="map" aria-label={words("map.title")} data-lasso={drawingLasso.value || undefined}>
      {here && here.map.count > 0 && <Stars key={here.map.version} here={here} />}
      {!here && !failed && (
        <div class="sky-note" role="status" data-testid="sky-note">
          <span class="gathering" aria-hidden="true"><i /><i /><i /></span>
          <p>{words("map.loading")}</p>
        </div>
      )}
      {failed && (
        <div class="sky-note" role="alert" data-testid="sky-note">
          <p><strong>{words("map.failed")}</strong></p>
          <p>{failed}</p>
        </div>
      )}
      {here && here.map.count === 0 && (
        <div class="sky-note" role="status" data-testid="sky-note"><p>{words("map.empty")}</p></div>
      )}
    </main>
  );
}

function Stars({ here }: { here: Loaded }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const layer = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const made = new Scene(canvas.current!, layer.current!, here);
    const hands = new Gestures(made, (row) => void open(here, row));
    scene.value = made;
    gestures.value = hands;
    window.vectorUniverse = {
      screenPosition(row) {
        const place = made.at(row);
        if (!place) return null;
        const box = made.canvas.getBoundingClientRect();
        return [box.left + place[0], box.top + place[1]];
      },
      frames: () => made.frames,
    };
    return () => {
      scene.value = gestures.value = null;
      hands.stop();
      made.stop();
    };
  }, [here]);

  return (
    <>
      <canvas
        ref={canvas}
        id="stars"
        tabIndex={0}
        role="application"
        aria-label={words("map.canvas")}
        aria-describedby="sky-spoken"
      />
      <div ref={layer} class="sky-thumbnails" aria-hidden="true" />
      {comparing.value && here.info.other && <CompareHead info={here.info} />}
      <Legend here={here} />
      <Controls here={here} gestures={gestures.value} />
      <HoverCard here={here} scene={scene.value} />
      <Spoken here={here} />
    </>
  );
}

async function open(here: Loaded, row: number): Promise<void> {
  hovered.value = row;
  opened.value = row;
  const item = await here.items.get(row);
  if (!item || opened.peek() !== row) return;
  ask({ like: [{ kind: "item", id: item.id, title: item.title, weight: 1 }], without: [] });
}
