/** The found pictures. */

import { type Hit, thumbnailUrl } from "./api";
import { make, makeImage } from "./dom";

export interface GridEvents {
  choose(hit: Hit): void;
  hover(hit: Hit | null): void;
}

export class Grid {
  constructor(
    private readonly list: HTMLElement,
    private readonly events: GridEvents,
  ) {}

  show(hits: Hit[]): void {
    this.list.replaceChildren(...hits.map((hit) => this.item(hit)));
    this.busy(false);
  }

  busy(busy: boolean): void {
    this.list.setAttribute("aria-busy", String(busy));
  }

  private item(hit: Hit): HTMLLIElement {
    const button = make("button", "result");
    button.type = "button";
    button.dataset.testid = "result";
    button.dataset.index = String(hit.index);
    button.title = hit.labels.length ? `${hit.title} · ${hit.labels.join(", ")}` : hit.title;
    const frame = make("span", "frame");
    frame.append(makeImage(thumbnailUrl(hit.id)));
    button.append(frame, make("span", "result-title", hit.title));
    if (hit.score !== null) button.append(score(hit.score));
    button.addEventListener("click", () => this.events.choose(hit));
    for (const name of ["mouseenter", "focus"]) button.addEventListener(name, () => this.events.hover(hit));
    for (const name of ["mouseleave", "blur"]) button.addEventListener(name, () => this.events.hover(null));
    const item = make("li");
    item.append(button);
    return item;
  }
}

function score(cosine: number): HTMLElement {
  const line = make("span", "score");
  const bar = make("span", "bar");
  bar.style.setProperty("--share", String(Math.max(0, Math.min(1, cosine))));
  line.append(bar, make("span", "score-number", cosine.toFixed(2)));
  line.title = "Cosine similarity";
  return line;
}
