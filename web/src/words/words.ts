/** The page's words in the reader's language. */

import { computed, signal } from "@preact/signals";
import { type Dictionary, english, type Key } from "./english";
import { korean } from "./korean";

export type Language = "en" | "ko";
export const LANGUAGES: readonly Language[] = ["en", "ko"];

const DICTIONARIES: Record<Language, Dictionary> = { en: english, ko: korean };

export const language = signal<Language>(navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en");

const numbers = computed(() => new Intl.NumberFormat(language.value));

/** The words for a key, with `{name}` replaced by values; numbers are written as the language writes them. */
export function words(key: Key, values: Record<string, string | number> = {}): string {
  return DICTIONARIES[language.value][key].replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? numbers.value.format(value) : value;
  });
}

const percents = computed(() => new Intl.NumberFormat(language.value, { style: "percent" }));

/** A probability as people read it; one that is nearly 0 or 1 is never said to be that. */
export function percent(probability: number): string {
  if (probability > 0 && probability < 0.01) return `< ${percents.value.format(0.01)}`;
  if (probability < 1 && probability > 0.99) return `> ${percents.value.format(0.99)}`;
  return percents.value.format(probability);
}

export function count(value: number): string {
  return numbers.value.format(value);
}
