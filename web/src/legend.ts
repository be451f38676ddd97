/** The labels with their colours and counts; one can be isolated on the map. */

import type { Label } from "./api";
import { make, number } from "./dom";
import { colourOf, type Palette } from "./palette";

/** Enough to scan; a longer list would hide the map. */
const MAX_ROWS = 60;

export class Legend {
  private buttons: HTMLButtonElement[] = [];
  private isolated: number | null = null;

  constructor(
    private readonly element: HTMLElement,
    private readonly onIsolate: (label: number | null) => void,
  ) {}

  show(labels: Label[]): void {
    const list = make("ul");
    this.buttons = labels.slice(0, MAX_ROWS).map((label, index) => {
      const button = make("button", "legend-row");
      button.type = "button";
      button.title = `Show only ${label.name}`;
      button.setAttribute("aria-pressed", "false");
      button.append(
        make("span", "dot"),
        make("span", "legend-name", label.name),
        make("span", "legend-count", number.format(label.count)),
      );
      button.addEventListener("click", () => this.toggle(index));
      const row = make("li");
      row.append(button);
      list.append(row);
      return button;
    });
    this.element.replaceChildren(list);
    this.element.hidden = labels.length === 0;
  }

  recolour(colours: Palette): void {
    for (const [index, button] of this.buttons.entries()) {
      button.style.setProperty("--dot", colourOf(index, colours));
    }
  }

  toggle(label: number | null): void {
    this.isolated = label === this.isolated ? null : label;
    for (const [index, button] of this.buttons.entries()) {
      button.setAttribute("aria-pressed", String(index === this.isolated));
    }
    this.element.classList.toggle("isolating", this.isolated !== null);
    this.onIsolate(this.isolated);
  }
}
