/** The search side of the page. */

import { failure, loaded, message, reachable, tab } from "../state/store";
import { words } from "../words/words";
import { Chips } from "./Chips";
import { Filters } from "./Filters";
import { Header } from "./Header";
import { Playground } from "./Playground";
import { Results } from "./Results";
import { SearchBox } from "./SearchBox";
import { Tabs } from "./Tabs";

export function Panel() {
  return (
    <aside class="panel" aria-label={words("page.panel")}>
      <Header />
      {loaded.value && <Tabs />}
      <div class="notices" role="status">
        {loaded.value && !reachable.value && <p class="message warning">{words("search.unreachable")}</p>}
        {message.value && <p class="message" data-testid="message">{message.value}</p>}
        {loaded.value?.info.remark && <p class="message quiet">{loaded.value.info.remark}</p>}
      </div>
      {!loaded.value ? <Opening />
        : tab.value === "labels" ? <Playground universe={loaded.value} /> : <SearchTab />}
      {loaded.value?.info.attribution && <footer class="attribution quiet">{loaded.value.info.attribution}</footer>}
    </aside>
  );
}

function Opening() {
  if (failure.value === null) return <p class="state quiet" role="status">{words("search.loading")}</p>;
  return (
    <div class="state trouble" role="alert" data-testid="failure">
      <p>{failure.value}</p>
      <button type="button" class="pill" onClick={() => location.reload()}>{words("results.try_again")}</button>
    </div>
  );
}

function SearchTab() {
  const universe = loaded.value!;
  return (
    <div class="tab-body" id="tab-search" role={universe.source.offline ? undefined : "tabpanel"}
      aria-labelledby={universe.source.offline ? undefined : "tab-button-search"}>
      <div class="asking" role="search" aria-label={words("search.region")}>
        <SearchBox universe={universe} />
        <Chips universe={universe} />
        <Filters universe={universe} />
      </div>
      <Results universe={universe} />
    </div>
  );
}
