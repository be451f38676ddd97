/** Everything that is asked, one chip each: what to be near to, what to stay away from, what items must have. */

import { useState } from "preact/hooks";
import { NOTHING_ASKED, type Part } from "../data/types";
import { askPictures, textAlone } from "../state/asking";
import { ask, type Loaded, question, somethingAsked } from "../state/store";
import { words } from "../words/words";
import { FilterChips } from "./FilterChips";
import { PartChip } from "./PartChip";
import { PartEditor } from "./PartEditor";
import { PictureButton } from "./PictureButton";

export function Chips({ universe }: { universe: Loaded }) {
  const [edited, edit] = useState<Part | null>(null);
  const { like, without, hybrid, distinct } = question.value;
  if (!somethingAsked.value) return null;
  const alone = textAlone(question.value) !== null;
  const { labels, notLabels, conditions, region } = question.value;
  if (alone && !(labels.length + notLabels.length + conditions.length) && !region) return null;
  const { offline } = universe.source;
  const side = edited && like.includes(edited) ? "like" : edited && without.includes(edited) ? "without" : null;
  const chip = (part: Part, at: number, side: "like" | "without") => (
    <PartChip key={`${side}${at}`} part={part} side={side} universe={universe} edited={part === edited}
      onEdit={offline ? null : () => edit(part === edited ? null : part)} />
  );
  return (
    <div class="chips-block">
      <ul class="chips" aria-label={words("search.asked")} data-testid="chips">
        {!alone && like.map((part, at) => chip(part, at, "like"))}
        {without.map((part, at) => chip(part, at, "without"))}
        <FilterChips />
        {!offline && like.some((part) => part.kind !== "text") && (
          <li>
            <PictureButton wide label={words("search.add_picture")} testid="add-picture"
              onPick={(files) => askPictures(files, true)} />
          </li>
        )}
        <li>
          <button type="button" class="text-button" data-testid="clear"
            onClick={() => ask({ ...NOTHING_ASKED, hybrid, distinct })}>
            {words("search.clear")}
          </button>
        </li>
      </ul>
      {edited && side && <PartEditor part={edited} side={side} onChange={edit} />}
    </div>
  );
}
