/** What the colours of the stars mean; a label or topic in it can be clicked. */

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Info } from "../data/types";
import {
  ask, camera, type Colouring, colouring, comparing, type Loaded, question, scores,
} from "../state/store";
import { count, words } from "../words/words";
import { colourOf, palette } from "./palette";
import { Ramp } from "./Ramp";
import { topicColour } from "./star_colours";

/** More rows than these are found by typing. */
const SCAN = 30;
const ROWS = 60;

export function Legend({ here }: { here: Loaded }) {
  const folded = useSignal(matchMedia("(max-width: 760px)").matches);
  useSignalEffect(() => {
    if (comparing.value) folded.value = true; // two maps need the room
  });
  const { info } = here;
  const possible = useComputed(() => colourings(here));
  const mode = colouring.value;
  if (!info.labels.length && possible.value.length < 2) return null;
  return (
    <section
      class="legend" aria-label={words("legend.title")} data-covers-map data-testid="legend" data-folded={folded.value}
    >
      <div class="legend-head">
        <select
          aria-label={words("legend.colour_by")}
          data-testid="colouring"
          value={mode}
          onChange={(event) => (colouring.value = event.currentTarget.value as Colouring)}
        >
          {possible.value.map((one) => (
            <option value={one} selected={one === mode}>{words(`legend.by_${one}`)}</option>
          ))}
        </select>
        <button
          type="button" class="legend-fold" aria-expanded={!folded.value} aria-label={words("legend.fold")}
          onClick={() => (folded.value = !folded.value)}
        >
          <svg viewBox="0 0 24 24" aria-hidden="true"><path d="m6 9 6 6 6-6" /></svg>
        </button>
      </div>
      {!folded.value && (mode === "label"
        ? <Labels info={info} />
        : mode === "topic" ? <Topics info={info} /> : <Ramp colouring={mode} />)}
    </section>
  );
}

function colourings({ info, otherMap }: Loaded): Colouring[] {
  const { like, without } = question.value;
  const now = colouring.value;
  return (["label", "topic", "score", "moved"] as const).filter((one) =>
    one === now
    || (one === "label" && info.labels.length > 0)
    || (one === "topic" && info.topics !== null)
    || (one === "score" && (like.length + without.length > 0 || scores.value !== null))
    || (one === "moved" && otherMap !== null && comparing.value));
}

function Labels({ info }: { info: Info }) {
  const { labels: wanted } = question.value;
  const toggle = (name: string) =>
    ask({ labels: wanted.includes(name) ? wanted.filter((one) => one !== name) : [...wanted, name] });
  return (
    <List
      rows={info.labels.map(({ name, count: size }, number) => ({
        name, size, colour: colourOf(number, palette.value), pressed: wanted.includes(name), run: () => toggle(name),
      }))}
      isolating={wanted.length > 0}
    />
  );
}

function Topics({ info }: { info: Info }) {
  const rows = (info.topics?.fine ?? []).map((topic, number) => ({
    name: topic.name, size: topic.size, colour: colourOf(topicColour(number), palette.value),
    run: () => (camera.value = { x: topic.x, y: topic.y, zoom: Math.max(4, camera.peek().zoom) }),
  }));
  return <List rows={rows.sort((a, b) => b.size - a.size)} isolating={false} />;
}

interface Row {
  name: string;
  size: number;
  colour: string;
  pressed?: boolean;
  run: () => void;
}

function List({ rows, isolating }: { rows: Row[]; isolating: boolean }) {
  const typed = useSignal("");
  const field = useRef<HTMLInputElement>(null);
  const wanted = typed.value.trim().toLowerCase();
  const found = wanted ? rows.filter(({ name }) => name.toLowerCase().includes(wanted)) : rows;
  // What is pressed stays in sight.
  const shown = [...found.filter(({ pressed }) => pressed), ...found.filter(({ pressed }) => !pressed)].slice(0, ROWS);
  return (
    <>
      {rows.length > SCAN && (
        <input
          ref={field} class="legend-find" type="search" placeholder={words("legend.find")}
          aria-label={words("legend.find")} value={typed.value}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
      )}
      <ul class={isolating ? "legend-list isolating" : "legend-list"}>
        {shown.map((row) => (
          <li key={row.name}>
            <button type="button" class="legend-row" aria-pressed={row.pressed} title={row.name} onClick={row.run}>
              <i class="dot" ref={(element) => element?.style.setProperty("--dot", row.colour)} />
              <span class="legend-name">{row.name}</span>
              <span class="legend-count">{count(row.size)}</span>
            </button>
          </li>
        ))}
      </ul>
      {!shown.length && <p class="quiet">{words("legend.none")}</p>}
    </>
  );
}
