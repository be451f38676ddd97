/** One item among others: its picture and title; pointed at, its star lights up; pressed, its details open. */

import type { ComponentChildren } from "preact";
import type { Item } from "../data/types";
import { hovered, type Loaded, opened } from "../state/store";
import { words } from "../words/words";
import { Thumbnail } from "./Thumbnail";

interface Props {
  item: Item;
  universe: Loaded;
  rank: number | null;
  children: ComponentChildren;
}

export function ResultCard({ item, universe, rank, children }: Props) {
  const point = () => (hovered.value = item.row);
  const leave = () => {
    if (hovered.value === item.row) hovered.value = null;
  };
  const { row } = item;
  const state = opened.value === row ? "result opened" : hovered.value === row ? "result pointed" : "result";
  return (
    <li>
      <button type="button" class={state} data-testid="result" data-row={row} onClick={() => (opened.value = row)}
        onPointerEnter={point} onPointerLeave={leave} onFocus={point} onBlur={leave}>
        <Thumbnail universe={universe} item={item} />
        <span class="result-title" dir="auto" title={item.title}>
          {rank !== null && <span class="rank"><span class="sr-only">{words("results.rank")} </span>{rank}</span>}
          {item.title || item.id}
        </span>
        {children}
      </button>
    </li>
  );
}
