/** Says that a held picture may be dropped. */

import { held } from "../state/files";
import { tab } from "../state/store";
import { words } from "../words/words";

export function DropVeil() {
  if (!held.value) return null;
  return <div class="drop-veil">{tab.value === "search" ? words("search.drop") : words("playground.drop")}</div>;
}
