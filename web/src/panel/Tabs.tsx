/** Search, or the playground for labels. */

import { loaded, type Tab, tab } from "../state/store";
import { words } from "../words/words";

const TABS: readonly Tab[] = ["search", "labels"];

export function Tabs() {
  if (loaded.value?.source.offline) return null;
  const names = { search: words("search.tab"), labels: words("playground.tab") };
  const move = (event: KeyboardEvent) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    tab.value = tab.value === "search" ? "labels" : "search";
    document.getElementById(`tab-button-${tab.value}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={words("page.tabs")} onKeyDown={move}>
      {TABS.map((name) => (
        <button key={name} type="button" role="tab" id={`tab-button-${name}`} aria-selected={tab.value === name}
          aria-controls={tab.value === name ? `tab-${name}` : undefined} tabIndex={tab.value === name ? 0 : -1}
          onClick={() => (tab.value = name)}>
          {names[name]}
        </button>
      ))}
    </div>
  );
}
