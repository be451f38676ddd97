/** What a screen reader says of the star that is pointed at or opened. */

import { useSignal, useSignalEffect } from "@preact/signals";
import { hovered, type Loaded, opened } from "../state/store";
import { words } from "../words/words";

/** A mouse that sweeps over the map must not chatter. */
const PATIENCE = 250;

export function Spoken({ here }: { here: Loaded }) {
  const line = useSignal("");
  useSignalEffect(() => {
    const row = hovered.value ?? opened.value;
    const isOpen = row !== null && row === opened.value;
    const timer = setTimeout(() => {
      if (row === null) return;
      void here.items.get(row).then((item) => {
        if (!item) return;
        const said = [item.title, ...item.labels.slice(0, 4)].join(", ");
        line.value = isOpen ? words("map.opened", { title: said }) : said;
      });
    }, PATIENCE);
    return () => clearTimeout(timer);
  });
  return <p id="sky-spoken" class="sr-only" aria-live="polite" data-testid="sky-spoken">{line.value}</p>;
}
