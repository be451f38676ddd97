/** One chip: a button that opens or turns what it stands for, and a cross that removes it. */

import type { ComponentChildren } from "preact";
import { words } from "../words/words";
import { Icon } from "./Icon";

interface Props {
  name: string;
  without?: boolean;
  /** What a press does, in words; without it the chip has no press. */
  action?: string;
  expanded?: boolean | undefined;
  onPress?: (() => void) | null;
  onRemove: () => void;
  children: ComponentChildren;
}

export function Chip({ name, without = false, action, expanded, onPress, onRemove, children }: Props) {
  const remove = (event: KeyboardEvent) => {
    if (event.key !== "Backspace" && event.key !== "Delete") return;
    event.preventDefault();
    onRemove();
    document.getElementById("search-input")?.focus();
  };
  return (
    <li class={without ? "chip without" : "chip"} data-testid="chip" onKeyDown={remove}>
      {onPress ? (
        <button type="button" class="chip-body" aria-expanded={expanded} title={action} onClick={onPress}>
          {children}
        </button>
      ) : <span class="chip-body">{children}</span>}
      <button type="button" class="chip-remove" aria-label={words("search.remove", { name })}
        title={words("search.remove", { name })} onClick={onRemove}>
        <Icon name="close" />
      </button>
    </li>
  );
}
