/** Small helpers for elements; text only ever enters as text, never as markup. */

export function byId<T extends HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no #${id}`);
  return element as T;
}

export function find<T extends Element>(selector: string, within: ParentNode = document): T {
  const element = within.querySelector<T>(selector);
  if (!element) throw new Error(`The page has no ${selector}`);
  return element;
}

export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  text = "",
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/** A picture that leaves quietly when it cannot be loaded. */
export function makeImage(source: string, alt = ""): HTMLImageElement {
  const image = make("img");
  image.alt = alt;
  image.loading = "lazy";
  image.decoding = "async";
  image.addEventListener("error", () => image.classList.add("missing"));
  image.src = source;
  return image;
}

export const number = new Intl.NumberFormat();

export function calm(): boolean {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
