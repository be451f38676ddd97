/** The picture to search with: picked, dropped anywhere on the page, or pasted. */

import { byId, find } from "./dom";

export class Picture {
  file: File | null = null;
  private readonly chip = find<HTMLElement>(".image-chip");
  private readonly preview = find<HTMLImageElement>("img", this.chip);
  private readonly input = find<HTMLInputElement>("input[type=file]");
  private readonly veil = byId("drop-veil");
  private depth = 0;

  constructor(
    private readonly onChange: () => void,
    private readonly onRefuse: (reason: string) => void,
  ) {
    this.input.addEventListener("change", () => this.take(this.input.files));
    find("button", this.chip).addEventListener("click", () => {
      this.clear();
      this.onChange();
    });
    document.addEventListener("paste", (event) => {
      if (event.clipboardData?.files.length) this.take(event.clipboardData.files);
    });
    this.listenForDrops();
  }

  clear(): void {
    this.file = null;
    this.input.value = "";
    this.chip.hidden = true;
    if (this.preview.src) URL.revokeObjectURL(this.preview.src);
    this.preview.removeAttribute("src");
  }

  private take(files: FileList | null): void {
    const file = files?.[0];
    if (!file) return;
    if (!file.type.startsWith("image/")) return this.onRefuse(`“${file.name}” is not a picture.`);
    this.clear();
    this.file = file;
    this.preview.src = URL.createObjectURL(file);
    find(".image-name", this.chip).textContent = file.name;
    this.chip.hidden = false;
    this.onChange();
  }

  private listenForDrops(): void {
    const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const veil = (depth: number) => {
      this.depth = Math.max(0, depth);
      this.veil.hidden = this.depth === 0;
    };
    document.addEventListener("dragenter", (event) => carriesFiles(event) && veil(this.depth + 1));
    document.addEventListener("dragleave", (event) => carriesFiles(event) && veil(this.depth - 1));
    document.addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
    document.addEventListener("drop", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      veil(0);
      this.take(event.dataTransfer?.files ?? null);
    });
  }
}
