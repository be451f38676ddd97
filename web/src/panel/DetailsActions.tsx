/** What can be done with an item. */

import { useState } from "preact/hooks";
import type { ItemDetails } from "../data/types";
import { addPart, moreLike } from "../state/asking";
import { camera, message, tab } from "../state/store";
import { words } from "../words/words";
import { Icon } from "./Icon";

const CLOSE_ENOUGH = 8; // times the whole map

export function DetailsActions({ item, offline }: { item: ItemDetails; offline: boolean }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    } catch {
      message.value = words("details.copy_failed");
    }
  };
  const without = () => {
    addPart("without", { kind: "item", id: item.id, title: item.title, weight: 1 });
    tab.value = "search";
  };
  const show = () => (camera.value = { x: item.x, y: item.y, zoom: Math.max(camera.value.zoom, CLOSE_ENOUGH) });
  return (
    <div class="actions">
      <button type="button" class="pill strong" data-testid="more-like" onClick={() => moreLike(item)}>
        <Icon name="item" />{words("details.more_like")}
      </button>
      {!offline && (
        <button type="button" class="pill" data-testid="without-this" onClick={without}>
          <Icon name="without" />{words("details.without")}
        </button>
      )}
      <button type="button" class="pill" data-testid="show-on-map" onClick={show}>
        <Icon name="target" />{words("details.show")}
      </button>
      {!offline && (
        <button type="button" class="pill" data-testid="try-labels" onClick={() => (tab.value = "labels")}>
          <Icon name="label" />{words("details.try_labels")}
        </button>
      )}
      <button type="button" class="pill" data-testid="copy-link" onClick={() => void copy()}>
        <Icon name="link" /><span role="status">{copied ? words("details.copied") : words("details.copy")}</span>
      </button>
    </div>
  );
}
