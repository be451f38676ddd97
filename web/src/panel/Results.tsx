/** What was found: the state of the search, whichever it is. */

import { answer, busy, comparing, type Loaded, otherAnswer, somethingAsked, trouble } from "../state/store";
import { tryAgain } from "../state/search";
import { words } from "../words/words";
import { CompareResults } from "./CompareResults";
import { LookAround } from "./LookAround";
import { More } from "./More";
import { ResultGrid } from "./ResultGrid";
import { ResultsHead } from "./ResultsHead";

export function Results({ universe }: { universe: Loaded }) {
  if (!somethingAsked.value) return <LookAround universe={universe} />;
  const found = answer.value;
  const both = comparing.value && otherAnswer.value;
  return (
    <section class="found" aria-label={words("results.title")}>
      <ResultsHead universe={universe} />
      {trouble.value && (
        <div class="state trouble" role="alert" data-testid="trouble">
          <p>{trouble.value}</p>
          <button type="button" class="pill" onClick={tryAgain}>{words("results.try_again")}</button>
        </div>
      )}
      {found?.doubt && <p class="doubt" role="status" data-testid="doubt">{found.doubt}</p>}
      {!found && busy.value && <Skeleton />}
      {found && !found.hits.length && !trouble.value && (
        <div class="state" data-testid="nothing">
          <p class="state-title">{words("results.nothing")}</p>
          <p class="quiet">{found.among === 0 ? words("results.nothing_passes") : words("results.nothing_found")}</p>
        </div>
      )}
      {found && found.hits.length > 0 && (both ? <CompareResults universe={universe} here={found} there={both} />
        : <ResultGrid universe={universe} hits={found.hits} />)}
      <More />
    </section>
  );
}

function Skeleton() {
  return (
    <div class="results skeleton" aria-hidden="true" data-testid="skeleton">
      {Array.from({ length: 9 }, (_, place) => <span key={place} class="skeleton-card" />)}
    </div>
  );
}
