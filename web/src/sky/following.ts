/** What the map does when something else of the page changes. */

import { effect } from "@preact/signals";
import {
  answer, camera, colouring, comparing, hitRows, hovered, opened, otherAnswer, question, ranked, scores,
} from "../state/store";
import { language } from "../words/words";
import { palette } from "./palette";
import type { Scene } from "./scene";
import { mapScale, morphing, way } from "./sky_state";
import { colourStars, movedBy } from "./star_colours";
import { HOME, sameCamera } from "./view";

const FIRST_HITS = 24;

/** Keeps the scene as the signals want it; returns what stops that. */
export function following(scene: Scene): (() => void)[] {
  const { map, otherMap } = scene.loaded;
  const moved = otherMap && movedBy(map, otherMap);
  const labelNumbers = new Map(scene.loaded.info.labels.map(({ name }, number) => [name, number]));
  const fly = flights(scene);
  let last = "";
  return [
    effect(() => {
      const { labels, notLabels, region } = question.value;
      const wish = {
        colouring: colouring.value, theme: palette.value, question: { labels, notLabels, region },
        scores: scores.value, moved, labelNumbers,
        asked: ranked.value,
      };
      // Signals fire for parts of the question that do not colour stars, too.
      const key = JSON.stringify([wish.colouring, wish.theme.dark, wish.question, wish.asked]);
      if (key === last && wish.colouring !== "score") return;
      last = key;
      mapScale.value = scene.fields.map((field) => {
        const scale = colourStars(field, wish);
        field.recoloured(wish.theme);
        return scale;
      })[0] ?? null;
      scene.redraw();
    }),
    effect(() => {
      [hovered.value, opened.value, otherAnswer.value, language.value];
      scene.refresh();
    }),
    effect(() => {
      [comparing.value, morphing.value, way.value];
      scene.fields[0]!.mix(scene.loaded.otherMap, scene.mixing);
      scene.redraw();
    }),
    effect(() => {
      const wanted = scene.seen(camera.value);
      if (!sameCamera(wanted, scene.goal)) scene.flyTo(wanted);
    }),
    effect(() => fly(hitRows.value)),
  ];
}

/** Brings hits that are out of sight into it: once for each answer, and not for one that came with a link's own view. */
function flights(scene: Scene): (rows: readonly number[]) => void {
  const linked = sameCamera(camera.peek(), HOME) ? null : question.peek();
  let last = "";
  return (rows) => {
    scene.refresh();
    const first = rows.slice(0, FIRST_HITS);
    const position = answer.peek()?.position;
    const before = last;
    last = String(first);
    if (!ranked.peek() || last === before) return;
    if (question.peek() === linked) return;
    const view = scene.views[0]!;
    const seen = first.filter((row) => {
      const [left, top] = scene.at(row) ?? [-1, -1];
      return left > 0 && top > 0 && left < view.width && top < view.height;
    });
    if (seen.length < first.length / 2) scene.flyToRows(first, position ? [[position.x, position.y]] : []);
  };
}
