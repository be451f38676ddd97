/** The small card beside the star that is pointed at. */

import { useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Item } from "../data/types";
import { answer, colouring, hovered, type Loaded } from "../state/store";
import { words } from "../words/words";
import { palette } from "./palette";
import type { Scene } from "./scene";
import { colourOfRow } from "./star_colours";

const GAP = 16;

export function HoverCard({ here, scene }: { here: Loaded; scene: Scene | null }) {
  const card = useRef<HTMLDivElement>(null);
  const item = useSignal<Item | null>(null);

  useSignalEffect(() => {
    const row = hovered.value;
    const known = row === null ? null : (here.items.peek(row) ?? answer.peek()?.hits.find((hit) => hit.row === row));
    item.value = known ?? null;
    if (row === null || item.value) return;
    void here.items.get(row).then((found) => {
      if (found && hovered.peek() === row) item.value = found;
    });
  });
  const place = () => {
    const at = hovered.peek() === null ? null : scene?.at(hovered.peek()!);
    if (card.current && scene) placeBeside(card.current, at ?? null, scene);
  };
  useEffect(() => {
    if (scene) scene.afterFrame = place;
  }, [scene]);
  useLayoutEffect(place);

  const shown = item.value;
  if (!shown) return null;
  const probability = answer.value?.hits.find((hit) => hit.row === shown.row)?.probability ?? null;
  const dot = dotOf(here, shown.row);
  return (
    <div ref={card} class="hover-card" data-testid="hover-card" role="tooltip">
      <img src={here.source.thumbnail(shown)} alt="" decoding="async" onError={hide} onLoad={reveal} />
      <div class="card-text">
        <strong>{shown.title}</strong>
        {shown.labels.length > 0 && (
          <span class="card-label"><i class="dot" ref={dot} />{shown.labels.slice(0, 4).join(" · ")}</span>
        )}
        {probability !== null && (
          <span class="card-label">{words("map.likely", { percent: Math.round(probability * 100) })}</span>
        )}
      </div>
    </div>
  );
}

function dotOf(here: Loaded, row: number) {
  const colour = colourOfRow(here.map, row, colouring.value, palette.value);
  return (element: HTMLElement | null) => element?.style.setProperty("--dot", colour);
}

function hide(event: Event): void {
  (event.currentTarget as HTMLElement).classList.add("missing");
}

function reveal(event: Event): void {
  (event.currentTarget as HTMLElement).classList.remove("missing");
}

/** On whichever side of the star has room; away where the star is out of sight. */
function placeBeside(card: HTMLElement, at: [number, number] | null, { whole: { width, height } }: Scene): void {
  const outside = !at || at[0] < 0 || at[1] < 0 || at[0] > width || at[1] > height;
  card.classList.toggle("away", outside);
  if (outside) return;
  const [x, y] = at;
  const { offsetWidth, offsetHeight } = card;
  const left = x + GAP + offsetWidth < width ? x + GAP : x - GAP - offsetWidth;
  const top = Math.max(8, Math.min(height - offsetHeight - 8, y - offsetHeight / 2));
  card.style.transform = `translate(${Math.round(Math.max(8, left))}px, ${Math.round(top)}px)`;
}
