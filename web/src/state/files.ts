/** Pictures that are dropped or pasted anywhere on the page. */

import { signal } from "@preact/signals";
import { askPictures, picturesAmong } from "./asking";
import { loaded, tab } from "./store";

/** The picture that labels are tried on; null: the opened item. */
export const trialPicture = signal<File | null>(null);
/** Whether files are held over the page. */
export const held = signal(false);

export function startFiles(): void {
  let depth = 0;
  const carries = (event: DragEvent) => Boolean(event.dataTransfer?.types.includes("Files")) && takesPictures();
  const count = (step: number) => {
    depth = Math.max(0, depth + step);
    held.value = depth > 0;
  };
  document.addEventListener("dragenter", (event) => carries(event) && count(1));
  document.addEventListener("dragleave", (event) => carries(event) && count(-1));
  document.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    count(-depth);
    take(event.dataTransfer?.files);
  });
  document.addEventListener("paste", (event) => {
    if (takesPictures() && event.clipboardData?.files.length) take(event.clipboardData.files);
  });
}

function takesPictures(): boolean {
  return loaded.value !== null && !loaded.value.source.offline;
}

function take(files: Iterable<File> = []): void {
  if (tab.value === "search") askPictures(files);
  else trialPicture.value = picturesAmong(files)[0] ?? trialPicture.value;
}
