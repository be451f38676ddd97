/** Zero-shot classification: type labels, give a picture, see which of them fits. */

import { useEffect, useState } from "preact/hooks";
import type { Classified, Item, Part } from "../data/types";
import { picturesAmong, preview } from "../state/asking";
import { trialPicture } from "../state/files";
import { type Loaded, opened, tried } from "../state/store";
import { lineOf } from "../state/universe";
import { words } from "../words/words";
import { Bars } from "./Bars";
import { PictureButton } from "./PictureButton";
import { Thumbnail } from "./Thumbnail";
import { TriedLabels } from "./TriedLabels";

export function Playground({ universe }: { universe: Loaded }) {
  const [item, setItem] = useState<Item | null>(null);
  const [found, setFound] = useState<Classified | null>(null);
  const [failed, setFailed] = useState<string | null>(null);
  const row = opened.value;
  const file = trialPicture.value;
  const labels = tried.value;

  useEffect(() => {
    let left = false;
    if (row === null) setItem(null);
    else void universe.items.get(row).then((known) => left || setItem(known ?? null));
    return () => {
      left = true;
    };
  }, [universe, row]);

  useEffect(() => {
    const part: Part | null = file ? { kind: "picture", file, weight: 1 }
      : item ? { kind: "item", id: item.id, title: item.title, weight: 1 } : null;
    setFailed(null);
    if (!part || !labels.length) return setFound(null);
    const left = new AbortController();
    universe.source.classify(labels, part, left.signal).then(setFound,
      (error: unknown) => left.signal.aborted || setFailed(lineOf(error)));
    return () => left.abort();
  }, [universe, item, file, labels]);

  const pick = (files: File[]) => {
    const [picture] = picturesAmong(files);
    if (picture) trialPicture.value = picture;
  };
  return (
    <div class="tab-body playground" id="tab-labels" role="tabpanel" aria-labelledby="tab-button-labels">
      <p class="quiet">{words("playground.what")}</p>
      <TriedLabels />
      <div class="trial" data-testid="trial">
        {file && <span class="frame"><img src={preview(file)} alt={file.name} /></span>}
        {!file && item && <Thumbnail universe={universe} item={item} />}
        {!file && !item && <span class="frame frame-empty" aria-hidden="true" />}
        <div class="trial-text">
          <p class="trial-name" dir="auto">{file?.name ?? item?.title ?? words("playground.no_picture")}</p>
          <div class="chips">
            <PictureButton wide label={words("playground.pick")} testid="trial-input" several={false} onPick={pick} />
            {file && item && (
              <button type="button" class="pill" data-testid="trial-opened" onClick={() => (trialPicture.value = null)}>
                {words("playground.take_opened")}
              </button>
            )}
          </div>
        </div>
      </div>
      <div aria-live="polite">
        {failed !== null && <p class="state trouble" role="alert">{failed}</p>}
        {found && !failed && <Bars found={found} />}
        {!found && !failed && labels.length === 0 && <p class="quiet">{words("playground.no_labels")}</p>}
      </div>
    </div>
  );
}
