/** Whose universe this is, and the reader's settings. */

import { loaded } from "../state/store";
import { words } from "../words/words";
import { Settings } from "./Settings";

export function Header() {
  const info = loaded.value?.info;
  return (
    <header class="brand">
      <svg class="brand-star" viewBox="0 0 24 24" aria-hidden="true">
        <path d="M12 0c.8 7.6 3.6 10.8 12 12-8.4 1.2-11.2 4.4-12 12-.8-7.6-3.6-10.8-12-12C8.4 10.8 11.2 7.6 12 0z" />
      </svg>
      <div class="brand-text">
        <h1 dir="auto">{info?.name ?? "Vector Universe"}</h1>
        {info && <p class="quiet">{words("page.size", { count: info.count })}</p>}
      </div>
      <Settings />
    </header>
  );
}
