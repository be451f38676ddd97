/** Words, a picture or an item that is asked for, or stayed away from. */

import type { Part } from "../data/types";
import { preview, removePart, type Side } from "../state/asking";
import type { Loaded } from "../state/store";
import { count, words } from "../words/words";
import { Chip } from "./Chip";

interface Props {
  part: Part;
  side: Side;
  universe: Loaded;
  edited: boolean;
  onEdit: (() => void) | null;
}

export function nameOf(part: Part): string {
  return part.kind === "text" ? part.text : part.kind === "item" ? part.title || part.id : part.file.name;
}

export function PartChip({ part, side, universe, edited, onEdit }: Props) {
  const picture = part.kind === "picture" ? preview(part.file)
    : part.kind === "item" ? universe.source.thumbnail({ row: -1, id: part.id }) : null;
  return (
    <Chip name={nameOf(part)} without={side === "without"} action={words("search.change")} expanded={edited}
      onPress={onEdit} onRemove={() => removePart(side, part)}>
      {side === "without" && <span class="chip-sign">{words("search.without")}</span>}
      {picture && <img src={picture} alt="" />}
      <span class="chip-name" dir="auto">{nameOf(part)}</span>
      {part.weight !== 1 && <span class="chip-weight">×{count(part.weight)}</span>}
    </Chip>
  );
}
