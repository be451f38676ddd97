/** Star colours: hues ordered so that neighbours differ in lightness as well, for colour-blind eyes. */

import { computed } from "@preact/signals";
import { dark } from "../state/store";

const DARK = [
  "#6db8ff", "#ffb347", "#4fe0b0", "#ff7eb6", "#f5e663", "#a78bfa",
  "#ff7b5a", "#35c9d9", "#c6ec7a", "#e3a8ff", "#d9ac7c", "#dbe4ff",
];
const LIGHT = [
  "#1f6fc4", "#c26a00", "#0b8a63", "#c92a72", "#8a7a00", "#6a45d8",
  "#cf3f1d", "#0a7f93", "#5a8a12", "#9a3fc4", "#85582a", "#3c4a73",
];
/** From little to much; lightness rises (in the light theme: falls) evenly, so that it reads without hues too. */
const DARK_RAMP = ["#27305c", "#3d4f9e", "#3f7fb8", "#43ad9f", "#8fd06a", "#f2e34c", "#fff6c9"];
const LIGHT_RAMP = ["#d5dcee", "#a9c3dc", "#76a9c4", "#418fa3", "#1f7280", "#16505f", "#0c2c40"];

export interface Palette {
  dark: boolean;
  labels: string[];
  ramp: string[];
  /** Items without a label, and labels beyond the palette. */
  rest: string;
  ground: string;
  text: string;
  quiet: string;
  accent: string;
}

const BRIGHT: Palette = {
  dark: false, labels: LIGHT, ramp: LIGHT_RAMP, rest: "#7b88a8", ground: "#f7f8fc", text: "#161b30", quiet: "#59638a",
  accent: "#b06a00",
};
const NIGHT: Palette = {
  dark: true, labels: DARK, ramp: DARK_RAMP, rest: "#6f7fa8", ground: "#070a16", text: "#e8ecfa", quiet: "#97a2c4",
  accent: "#ffd479",
};

export const palette = computed(() => (dark.value ? NIGHT : BRIGHT));

/** Colours of labels and topics; numbers beyond the palette share one. */
export function colourOf(number: number, { labels, rest }: Palette): string {
  return labels[number] ?? rest;
}

/** A colour of the ramp for a share from 0 to 1. */
export function rampColour(share: number, { ramp }: Palette): [number, number, number] {
  const at = Math.min(1, Math.max(0, share)) * (ramp.length - 1);
  const low = rgb(ramp[Math.floor(at)]!);
  const high = rgb(ramp[Math.ceil(at)]!);
  const part = at - Math.floor(at);
  return [0, 1, 2].map((c) => Math.round(low[c]! + (high[c]! - low[c]!) * part)) as [number, number, number];
}

export function rgb(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** As the pixels of a picture hold it: 0xAABBGGRR. */
export function packed([red, green, blue]: [number, number, number], alpha = 255): number {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}
