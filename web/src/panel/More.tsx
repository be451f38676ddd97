/** The next page of results: it comes when its button is scrolled near, or pressed. */

import { useEffect, useRef } from "preact/hooks";
import { more } from "../state/search";
import { answer, busy, otherAnswer, trouble } from "../state/store";
import { words } from "../words/words";

const AHEAD = "300px";

export function More() {
  const button = useRef<HTMLButtonElement>(null);
  const next = answer.value?.next_offset ?? otherAnswer.value?.next_offset ?? null;
  const blocked = busy.value || trouble.value !== null;
  useEffect(() => {
    if (next === null || blocked || !button.current) return;
    const watcher = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) void more();
    }, { rootMargin: AHEAD });
    watcher.observe(button.current);
    return () => watcher.disconnect();
  }, [next, blocked]);
  if (next === null) return null;
  return (
    <button type="button" ref={button} class="pill more" data-testid="more" disabled={blocked}
      onClick={() => void more()}>
      {words("results.more")}
    </button>
  );
}
