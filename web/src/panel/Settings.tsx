/** Language and theme. */

import { useEffect, useRef, useState } from "preact/hooks";
import { chooseLanguage, chooseTheme, theme, type Theme, THEMES } from "../state/preferences";
import { type Language, language, words } from "../words/words";
import { Icon } from "./Icon";

export function Settings() {
  const [shown, show] = useState(false);
  const place = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!shown) return;
    const leave = (event: Event) => !place.current?.contains(event.target as Node) && show(false);
    addEventListener("pointerdown", leave);
    addEventListener("focusin", leave);
    return () => {
      removeEventListener("pointerdown", leave);
      removeEventListener("focusin", leave);
    };
  }, [shown]);
  const close = (event: KeyboardEvent) => {
    if (event.key !== "Escape" || !shown) return;
    event.preventDefault();
    show(false);
    button.current?.focus();
  };
  const themes: Record<Theme, string> = {
    auto: words("settings.auto"), dark: words("settings.dark"), light: words("settings.light"),
  };
  return (
    <div class="settings" ref={place} onKeyDown={close}>
      <button type="button" ref={button} class="icon-button" aria-expanded={shown} aria-controls="settings"
        aria-label={words("settings.open")} title={words("settings.open")} data-testid="settings"
        onClick={() => show(!shown)}>
        <Icon name="settings" />
      </button>
      <div class="settings-box" id="settings" hidden={!shown}>
        <label>
          <span>{words("settings.language")}</span>
          <select value={language.value} data-testid="language"
            onChange={(event) => chooseLanguage(event.currentTarget.value as Language)}>
            <option value="en" lang="en">English</option>
            <option value="ko" lang="ko">한국어</option>
          </select>
        </label>
        <label>
          <span>{words("settings.theme")}</span>
          <select value={theme.value} data-testid="theme"
            onChange={(event) => chooseTheme(event.currentTarget.value as Theme)}>
            {THEMES.map((one) => <option key={one} value={one}>{themes[one]}</option>)}
          </select>
        </label>
      </div>
    </div>
  );
}
