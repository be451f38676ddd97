/** Keys that work anywhere on the page, and pictures that are pasted anywhere. */

import { opened, tab } from "./store";

/** `/` goes to the search box, Escape closes the details; both keep out of the way of typing. */
export function startKeyboard(): void {
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") opened.value = null;
    if (event.key === "/" && !isTyping(event.target)) {
      event.preventDefault();
      tab.value = "search";
      requestAnimationFrame(() => document.querySelector<HTMLInputElement>("#search-input")?.focus());
    }
  });
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.closest("input, select, textarea") !== null;
}
