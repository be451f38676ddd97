/** Language and theme: what the address says, else what was chosen here before, else what the system has. */

import { computed, effect, signal } from "@preact/signals";
import { type Language, language, LANGUAGES, words } from "../words/words";
import { readPreferences } from "./address";
import { dark, loaded } from "./store";

export type Theme = "auto" | "dark" | "light";
export const THEMES: readonly Theme[] = ["auto", "dark", "light"];

/** What the reader chose; null: follow the system. */
export const chosenLanguage = signal<Language | null>(null);
export const chosenTheme = signal<Theme | null>(null);
export const theme = computed<Theme>(() => chosenTheme.value ?? "auto");

export function startPreferences(): void {
  const own = language.value;
  const light = matchMedia("(prefers-color-scheme: light)");
  const system = signal(!light.matches);
  light.addEventListener("change", () => (system.value = !light.matches));
  chosenTheme.value = THEMES.find((one) => one === kept("theme")) ?? null;
  chosenLanguage.value = LANGUAGES.find((one) => one === kept("language")) ?? null;
  takePreferences(location.hash);
  effect(() => {
    dark.value = theme.value === "auto" ? system.value : theme.value === "dark";
    document.documentElement.dataset.theme = dark.value ? "dark" : "light";
  });
  effect(() => {
    language.value = chosenLanguage.value ?? own;
    document.documentElement.lang = language.value;
    document.title = loaded.value ? words("page.title", { name: loaded.value.info.name }) : "Vector Universe";
  });
}

/** Follows an address that names a language or a theme. */
export function takePreferences(address: string): void {
  const found = readPreferences(address);
  chosenLanguage.value = found.language ?? chosenLanguage.value;
  chosenTheme.value = found.theme ?? chosenTheme.value;
}

export function chooseLanguage(chosen: Language): void {
  chosenLanguage.value = chosen;
  keep("language", chosen);
}

export function chooseTheme(chosen: Theme): void {
  chosenTheme.value = chosen;
  keep("theme", chosen);
}

/** A browser may forbid a page to keep anything. */
function kept(key: string): string | null {
  try {
    return localStorage.getItem(`vector-universe-${key}`);
  } catch {
    return null;
  }
}

function keep(key: string, value: string): void {
  try {
    localStorage.setItem(`vector-universe-${key}`, value);
  } catch {
    // Then the choice holds for this visit.
  }
}
