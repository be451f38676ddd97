/** Asks the source whatever the question says, and keeps the answers in the store. */

import { batch, effect, signal, untracked } from "@preact/signals";
import { SourceError } from "../data/source";
import type { Answer, Question } from "../data/types";
import {
  answer, busy, colouring, comparing, type Loaded, loaded, message, otherAnswer, question, reachable, scores,
  somethingAsked, trouble,
} from "./store";
import { follow, lineOf } from "./universe";

const PAGE = 24;

const attempts = signal(0);
let running = new AbortController();

/** Searches whenever the question, the comparison or the index changes, or the server comes back. */
export function startSearching(): void {
  effect(() => {
    const universe = loaded.value;
    const asked = question.value;
    const both = comparing.value && Boolean(universe?.info.other);
    attempts.value;
    if (universe) untracked(() => void search(universe, asked, both));
  });
  effect(() => {
    const universe = loaded.value;
    const asked = question.value;
    const wanted = colouring.value === "score" && asked.like.length + asked.without.length > 0;
    untracked(() => void score(universe, wanted ? asked : null));
  });
  effect(() => {
    if (reachable.value) untracked(() => trouble.value && tryAgain());
  });
}

export function tryAgain(): void {
  attempts.value++;
}

async function search(universe: Loaded, asked: Question, both: boolean): Promise<void> {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  if (!somethingAsked.value) {
    batch(() => {
      answer.value = otherAnswer.value = trouble.value = null;
      busy.value = false;
    });
    return;
  }
  busy.value = true;
  const found = await settle(universe, signal, async () => {
    const first = { k: PAGE, offset: 0 };
    const [here, there] = await Promise.all([
      universe.source.search(asked, { ...first, side: "this" }, signal),
      both ? universe.source.search(asked, { ...first, side: "other" }, signal) : null,
    ]);
    if (signal.aborted) return;
    universe.items.keep(here.hits);
    batch(() => {
      answer.value = here;
      otherAnswer.value = there;
      message.value = null;
    });
  });
  // What was found before answers another question.
  if (!found && !signal.aborted) answer.value = otherAnswer.value = null;
}

/** Brings the next page of results, where there is one. */
export async function more(): Promise<void> {
  const universe = loaded.value;
  const [here, there] = [answer.value, otherAnswer.value];
  if (!universe || !here || busy.value) return;
  const { signal } = running;
  const page = async (known: Answer | null, side: "this" | "other"): Promise<Answer | null> => {
    if (!known || known.next_offset === null) return known;
    const next = await universe.source.search(question.value, { k: PAGE, offset: known.next_offset, side }, signal);
    const rows = new Set(known.hits.map((hit) => hit.id));
    return { ...next, doubt: known.doubt, position: known.position,
      hits: [...known.hits, ...next.hits.filter((hit) => !rows.has(hit.id))] };
  };
  busy.value = true;
  await settle(universe, signal, async () => {
    const [longer, longerThere] = await Promise.all([page(here, "this"), page(there, "other")]);
    if (signal.aborted) return;
    if (longer) universe.items.keep(longer.hits);
    batch(() => {
      answer.value = longer;
      otherAnswer.value = longerThere;
    });
  });
}

/** Runs a search and says whether it was answered: an abandoned one leaves no trace, a failed one says why. */
async function settle(universe: Loaded, signal: AbortSignal, run: () => Promise<void>): Promise<boolean> {
  try {
    await run();
    if (signal.aborted) return false;
    batch(() => {
      trouble.value = null;
      busy.value = false;
    });
    const version = answer.value?.version;
    if (version !== undefined && version !== universe.map.version) void follow(universe.source, version);
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    batch(() => {
      trouble.value = lineOf(error);
      busy.value = false;
      if (error instanceof SourceError && error.status === 0) reachable.value = false;
    });
    return false;
  }
}

let scoring = new AbortController();

async function score(universe: Loaded | null, asked: Question | null): Promise<void> {
  scoring.abort();
  scoring = new AbortController();
  const { signal } = scoring;
  if (!universe || !asked) {
    scores.value = null;
    return;
  }
  const found = await universe.source.scores(asked, signal).catch(() => null);
  if (!signal.aborted) scores.value = found;
}
