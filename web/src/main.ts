/** Puts the page together: a search on one side, the map on the other. */

import { type Answer, getInfo, getMap, type Hit, type Info } from "./api";
import { byId, find, make, number } from "./dom";
import { Grid } from "./grid";
import { Legend } from "./legend";
import { hasWebGL } from "./map";
import { onPaletteChange, palette } from "./palette";
import { Picture } from "./picture";
import { sampleOf } from "./sample";
import { Search } from "./search";
import { Sky } from "./sky";

declare global {
  interface Window {
    vectorUniverse?: { screenPosition(index: number): [number, number] };
  }
}

const START_TITLE = byId("found-title").textContent ?? "";
const START_HINT = byId("found-empty").textContent ?? "";
const form = find<HTMLFormElement>("form.search");
const input = byId<HTMLInputElement>("query");
let sky: Sky | null = null;
/** What the grid shows while nothing is asked. */
let sample: Hit[] = [];

const search = new Search({
  start() {
    say("");
    grid.busy(true);
  },
  answer: showAnswer,
  fail(message) {
    grid.busy(false);
    say(message);
  },
});

const grid = new Grid(byId("results"), {
  choose(hit) {
    sky?.centre(hit.index);
    showNeighbours(hit.id, hit.title);
  },
  hover: (hit) => sky?.point(hit ? hit.index : null),
});

const picture = new Picture(submit, say);

const legend = new Legend(find(".legend"), (label) => sky?.isolate(label));

function say(message: string): void {
  const line = byId("message");
  line.textContent = message;
  line.hidden = !message;
}

function submit(): void {
  const text = input.value.trim();
  remember(text);
  if (text || picture.file) void search.byQuery(text, picture.file);
  else clear();
}

function showNeighbours(id: string, title: string): void {
  picture.clear();
  input.value = "";
  remember("");
  void search.byItem(id, title);
}

function showAnswer(answer: Answer, title: string): void {
  grid.show(answer.hits);
  sky?.show(answer);
  byId("found-title").textContent = title;
  byId("found-count").textContent = answer.hits.length === 1 ? "1 picture" : `${answer.hits.length} pictures`;
  byId("found-empty").textContent = "Nothing was found. Try other words, or another picture.";
  byId("found-empty").hidden = answer.hits.length > 0;
  byId("clear").hidden = false;
}

function clear(): void {
  search.stop();
  picture.clear();
  input.value = "";
  remember("");
  say("");
  sky?.show(null);
  showSample();
  byId("clear").hidden = true;
}

function showSample(): void {
  grid.show(sample);
  byId("found-title").textContent = START_TITLE;
  byId("found-count").textContent = "";
  byId("found-empty").textContent = START_HINT;
  byId("found-empty").hidden = false;
}

/** Keeps the words in the address, so that a search can be shared as a link. */
function remember(text: string): void {
  const hash = text ? `#${new URLSearchParams({ q: text })}` : "";
  if (location.hash !== hash) history.pushState(null, "", hash || location.pathname + location.search);
}

function recall(): void {
  const text = new URLSearchParams(location.hash.slice(1)).get("q") ?? "";
  if (text === input.value.trim()) return;
  input.value = text;
  submit();
}

function describe(info: Info): void {
  document.title = `${info.name} · Vector Universe`;
  byId("name").textContent = info.name;
  byId("facts").textContent = `${number.format(info.count)} pictures in ${info.dimension} dimensions`;
  byId("attribution").textContent = info.attribution;
  byId("examples").replaceChildren(
    ...info.examples.map((example) => {
      const chip = make("button", "chip", example);
      chip.type = "button";
      chip.addEventListener("click", () => {
        input.value = example;
        picture.clear();
        submit();
      });
      const item = make("li");
      item.append(chip);
      return item;
    }),
  );
}

async function showSky(info: Info): Promise<void> {
  const note = byId("sky-note");
  if (!hasWebGL()) {
    note.textContent = "This browser cannot draw the map, because WebGL is switched off. Search works as usual.";
    return;
  }
  const data = await getMap();
  const made = new Sky(info, data, (index) => showNeighbours(data.ids[index]!, data.titles[index]!));
  await made.draw();
  sky = made;
  sample = sampleOf(data);
  showSample();
  note.hidden = data.ids.length > 0;
  note.textContent = "There are no pictures here yet.";
  legend.show(info.labels);
  legend.recolour(palette());
  onPaletteChange(() => legend.recolour(palette()));
  document.documentElement.dataset.mapReady = "true";
  window.vectorUniverse = { screenPosition: (index) => pagePosition(made.screenPosition(index)) };
}

function pagePosition([x, y]: [number, number]): [number, number] {
  const box = find(".sky").getBoundingClientRect();
  return [box.left + x, box.top + y];
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
byId("clear").addEventListener("click", clear);
window.addEventListener("popstate", recall);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") clear();
});

async function start(): Promise<void> {
  try {
    const info = await getInfo();
    describe(info);
    await showSky(info);
  } catch (error) {
    byId("sky-note").textContent = "The map could not be shown.";
    say(error instanceof Error ? error.message : String(error));
  }
  recall();
}

void start();
