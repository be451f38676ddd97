/** The picture of an item; where it cannot be had, a quiet empty frame. The title beside it says what it is. */

import { useState } from "preact/hooks";
import type { Loaded } from "../state/store";

export function Thumbnail({ universe, item }: { universe: Loaded; item: { row: number; id: string } }) {
  const [missing, setMissing] = useState<string | null>(null);
  const address = universe.source.thumbnail(item);
  return (
    <span class="frame">
      {missing === address ? <span class="frame-missing" />
        : <img src={address} alt="" loading="lazy" decoding="async" onError={() => setMissing(address)} />}
    </span>
  );
}
