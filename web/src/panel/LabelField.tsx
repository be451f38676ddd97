/** Finds a label by its first letters, and asks for items that carry it. */

import { useState } from "preact/hooks";
import type { Label } from "../data/types";
import { addLabel } from "../state/asking";
import { question } from "../state/store";
import { count, words } from "../words/words";

const SHOWN = 8;

/** Labels that hold what was typed: those that begin with it first, then the most frequent ones. */
export function matching(labels: readonly Label[], typed: string): Label[] {
  const wanted = typed.trim().toLowerCase();
  const held = labels.filter((label) => label.name.toLowerCase().includes(wanted));
  const first = held.filter((label) => label.name.toLowerCase().startsWith(wanted));
  return [...new Set([...first.slice(0, SHOWN), ...held.slice(0, SHOWN)])].slice(0, SHOWN);
}

export function LabelField({ labels }: { labels: readonly Label[] }) {
  const [typed, type] = useState("");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const chosen = new Set(question.value.labels);
  const found = open ? matching(labels.filter((label) => !chosen.has(label.name)), typed) : [];
  const choose = (label: Label | undefined) => {
    if (!label) return;
    addLabel(label.name);
    type("");
    setOpen(false);
  };
  const key = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setOpen(true);
      const step = event.key === "ArrowDown" ? 1 : -1;
      setActive(open && found.length ? (active + step + found.length) % found.length : 0);
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(found[active]);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      setOpen(false);
    }
  };
  return (
    <div class="field">
      <label for="label-field">{words("search.label")}</label>
      <div class="combobox">
        <input id="label-field" type="text" role="combobox" autocomplete="off" value={typed} dir="auto"
          aria-expanded={found.length > 0} aria-controls="label-options" aria-autocomplete="list"
          aria-activedescendant={found[active] ? `label-option-${active}` : undefined}
          placeholder={words("search.label_hint", { count: labels.length })} data-testid="label-field"
          onInput={(event) => {
            type(event.currentTarget.value);
            setActive(0);
            setOpen(true);
          }}
          onFocus={() => setOpen(true)} onBlur={() => setOpen(false)} onKeyDown={key} />
        <ul id="label-options" role="listbox" aria-label={words("search.label")} hidden={!found.length}>
          {found.map((label, at) => (
            <li key={label.name} id={`label-option-${at}`} role="option" aria-selected={at === active}
              onPointerDown={(event) => {
                event.preventDefault();
                choose(label);
              }}>
              <span dir="auto">{label.name}</span>
              <span class="quiet">{count(label.count)}</span>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}
