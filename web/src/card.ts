/** The small card beside a hovered star. */

import { thumbnailUrl } from "./api";
import { make, makeImage } from "./dom";
import type { View } from "./view";

const GAP = 14;

export class HoverCard {
  constructor(private readonly element: HTMLElement) {}

  show(id: string, title: string, label: string | null, colour: string): void {
    const text = make("div", "card-text");
    text.append(make("strong", "", title));
    if (label !== null) {
      const line = make("span", "card-label", label);
      line.style.setProperty("--dot", colour);
      text.append(line);
    }
    this.element.replaceChildren(makeImage(thumbnailUrl(id)), text);
    this.element.hidden = false;
  }

  hide(): void {
    this.element.hidden = true;
  }

  /** Beside the star, on whichever side has room. */
  place([x, y]: [number, number], view: View): void {
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const left = x + GAP + width < view.width ? x + GAP : x - GAP - width;
    const top = Math.max(8, Math.min(view.height - height - 8, y - height / 2));
    this.element.style.transform = `translate(${Math.max(8, left)}px, ${top}px)`;
  }
}
