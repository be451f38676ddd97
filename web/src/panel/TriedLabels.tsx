/** The labels to try: typed with commas or Enter between, removed one by one. */

import { useState } from "preact/hooks";
import { tried } from "../state/store";
import { words } from "../words/words";
import { Chip } from "./Chip";

const MOST = 200;

export function TriedLabels() {
  const [typed, type] = useState("");
  const take = (text: string) => {
    const named = text.split(/[,，、;\n]/).map((name) => name.trim()).filter(Boolean);
    if (named.length) tried.value = [...new Set([...tried.value, ...named])].slice(0, MOST);
    type("");
  };
  const key = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      take(typed);
    } else if (event.key === "Backspace" && !typed) {
      tried.value = tried.value.slice(0, -1);
    }
  };
  return (
    <div class="field">
      <label for="trial-labels">{words("playground.labels")}</label>
      <input id="trial-labels" type="text" value={typed} dir="auto" autocomplete="off" enterkeyhint="done"
        placeholder={words("playground.labels_hint")} data-testid="trial-labels" onKeyDown={key}
        onInput={(event) => {
          const { value } = event.currentTarget;
          if (/[,，、;\n]/.test(value)) take(value);
          else type(value);
        }}
        onBlur={() => take(typed)} />
      {tried.value.length > 0 && (
        <ul class="chips" aria-label={words("playground.labels")}>
          {tried.value.map((name) => (
            <Chip key={name} name={name} onRemove={() => (tried.value = tried.value.filter((one) => one !== name))}>
              <span class="chip-name" dir="auto">{name}</span>
            </Chip>
          ))}
        </ul>
      )}
    </div>
  );
}
