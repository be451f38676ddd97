/** Star colours: hues ordered so that neighbours differ in lightness as well, for colour-blind eyes. */

const DARK = [
  "#6db8ff", "#ffb347", "#4fe0b0", "#ff7eb6", "#f5e663", "#a78bfa",
  "#ff7b5a", "#35c9d9", "#c6ec7a", "#e3a8ff", "#d9ac7c", "#dbe4ff",
];
const LIGHT = [
  "#1f6fc4", "#c26a00", "#0b8a63", "#c92a72", "#8a7a00", "#6a45d8",
  "#cf3f1d", "#0a7f93", "#5a8a12", "#9a3fc4", "#85582a", "#3c4a73",
];

export interface Palette {
  dark: boolean;
  labels: string[];
  /** Items without a label, and labels beyond the palette. */
  rest: string;
  background: string;
  accent: string;
}

const lightScheme = matchMedia("(prefers-color-scheme: light)");

export function palette(): Palette {
  return lightScheme.matches
    ? { dark: false, labels: LIGHT, rest: "#7b88a8", background: "#f5f6fb", accent: "#b06a00" }
    : { dark: true, labels: DARK, rest: "#6f7fa8", background: "#070a16", accent: "#ffd479" };
}

export function colourOf(label: number, colours: Palette): string {
  return (label >= 0 && colours.labels[label]) || colours.rest;
}

export function onPaletteChange(run: () => void): void {
  lightScheme.addEventListener("change", run);
}

export function rgb(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}
