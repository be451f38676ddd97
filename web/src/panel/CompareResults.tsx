/** The answers of two models to the same question, side by side, with how places have changed. */

import type { Answer, Item } from "../data/types";
import type { Loaded } from "../state/store";
import { count, percent, words } from "../words/words";
import { ResultGrid } from "./ResultGrid";

export function CompareResults({ universe, here, there }: { universe: Loaded; here: Answer; there: Answer }) {
  const before = new Map(there.hits.map((hit, place) => [hit.id, place]));
  const { model, other } = universe.info;
  const name = other!.model;
  return (
    <>
      <p class="quiet">{words("results.kept", { percent: percent(other!.kept) })}</p>
      <div class="both" data-testid="both">
        <section aria-label={model}>
          <h3 dir="auto">{model}</h3>
          <ResultGrid universe={universe} hits={here.hits} narrow label={model}
            remark={(hit, place) => <Change hit={hit} place={place} before={before} name={name} />} />
        </section>
        <section aria-label={name}>
          <h3 dir="auto">{name}</h3>
          <ResultGrid universe={universe} hits={there.hits} narrow label={name} />
        </section>
      </div>
    </>
  );
}

function Change({ hit, place, before, name }: {
  hit: Item; place: number; before: Map<string, number>; name: string;
}) {
  const was = before.get(hit.id);
  if (was === undefined) return <span class="change new">{words("results.new", { name })}</span>;
  const step = was - place;
  if (step === 0) return <span class="change">{words("results.same_rank")}</span>;
  const moved = { count: Math.abs(step), name };
  return (
    <span class={step > 0 ? "change up" : "change down"}
      title={step > 0 ? words("results.up", moved) : words("results.down", moved)}>
      <span aria-hidden="true">{step > 0 ? "▲" : "▼"} {count(Math.abs(step))}</span>
      <span class="sr-only">{step > 0 ? words("results.up", moved) : words("results.down", moved)}</span>
    </span>
  );
}
