/** Finds a label by its first letters, and asks for items that carry it. */

import { useMemo, useState } from "preact/hooks";
import { foldedLabel } from "../data/same_label";
import type { Label } from "../data/types";
import { addLabel } from "../state/asking";
import { question } from "../state/store";
import { count, words } from "../words/words";

const SHOWN = 8;

/** Labels, with their folded forms, that hold what was typed: those that begin with it first, then the most frequent. */
function matching(labels: readonly Folded[], typed: string): Label[] {
  const wanted = foldedLabel(typed.trim());
  const held = labels.filter(({ form }) => form.includes(wanted));
  const first = held.filter(({ form }) => form.startsWith(wanted));
  const found = new Set([...first.slice(0, SHOWN), ...held.slice(0, SHOWN)]);
  return [...found].slice(0, SHOWN).map(({ label }) => label);
}

interface Folded {
  label: Label;
  form: string;
}

export function LabelField({ labels }: { labels: readonly Label[] }) {
  const [typed, type] = useState("");
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const all = useMemo(() => labels.map((label): Folded => ({ label, form: foldedLabel(label.name) })), [labels]);
  const chosen = new Set(question.value.labels.map(foldedLabel));
  const found = open ? matching(all.filter(({ form }) => !chosen.has(form)), typed) : [];
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
