/** A button that picks pictures from the reader's files. */

import { Icon } from "./Icon";

interface Props {
  label: string;
  testid: string;
  onPick: (files: File[]) => void;
  /** Shows the label beside the drawing. */
  wide?: boolean;
  several?: boolean;
}

export function PictureButton({ label, testid, onPick, wide = false, several = true }: Props) {
  return (
    <label class={wide ? "pill" : "icon-button"} title={label}>
      <Icon name="picture" />
      <span class={wide ? "" : "sr-only"}>{label}</span>
      <input type="file" class="sr-only" accept="image/*" multiple={several} data-testid={testid} aria-label={label}
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = "";
          onPick(files);
        }} />
    </label>
  );
}
