/** Everything about the opened item, over the map beside the panel; on a phone, a sheet from below. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { ItemDetails } from "../data/types";
import { loaded, opened } from "../state/store";
import { lineOf } from "../state/universe";
import { words } from "../words/words";
import { DetailsActions } from "./DetailsActions";
import { DetailsFacts } from "./DetailsFacts";
import { Icon } from "./Icon";
import { Thumbnail } from "./Thumbnail";

export function Details() {
  const universe = loaded.value;
  const row = opened.value;
  const [item, setItem] = useState<ItemDetails | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const close = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    setFailed(null);
    if (!universe || row === null) return setItem(null);
    const left = new AbortController();
    const bring = async () => {
      const short = await universe.items.get(row);
      if (!short) throw new Error(words("details.gone"));
      setItem(await universe.source.item(short.id, left.signal));
    };
    bring().catch((error: unknown) => left.signal.aborted || setFailed(lineOf(error)));
    return () => left.abort();
  }, [universe, row]);

  useEffect(() => {
    if (row === null) return;
    const from = document.activeElement;
    // What is reached from the map leaves the focus there: its keys go on working.
    if (from instanceof HTMLElement && from.closest(".panel")) close.current?.focus({ preventScroll: true });
    return () => {
      const inside = document.activeElement === document.body || document.activeElement?.closest(".details");
      if (inside && from instanceof HTMLElement && from.isConnected) from.focus({ preventScroll: true });
    };
  }, [row]);

  if (!universe || row === null) return null;
  return (
    <section class="details" role="dialog" aria-modal="false" aria-labelledby="details-title" data-testid="details">
      <button type="button" ref={close} class="icon-button details-close" aria-label={words("details.close")}
        title={words("details.close")} data-testid="details-close" onClick={() => (opened.value = null)}>
        <Icon name="close" />
      </button>
      {failed !== null && <p id="details-title" class="state" role="alert">{failed}</p>}
      {failed === null && item?.row !== row && (
        <p id="details-title" class="state quiet">{words("details.loading")}</p>
      )}
      {failed === null && item?.row === row && (
        <>
          <Thumbnail universe={universe} item={item} />
          <h2 id="details-title" dir="auto">{item.title || item.id}</h2>
          <DetailsActions item={item} offline={universe.source.offline} />
          <DetailsFacts item={item} />
        </>
      )}
    </section>
  );
}
