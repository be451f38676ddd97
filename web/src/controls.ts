/** Ways to move over the map besides wheel and mouse: buttons, keys and fingers. */

import { byId, find } from "./dom";
import type { StarMap } from "./map";

const STEP = 0.25;

export function addControls(map: StarMap, canvas: HTMLCanvasElement): void {
  find<HTMLElement>(".zoom").hidden = false;
  byId("zoom-in").addEventListener("click", () => map.zoom(1.8));
  byId("zoom-out").addEventListener("click", () => map.zoom(1 / 1.8));
  byId("zoom-home").addEventListener("click", () => map.home());
  const keys: Record<string, () => void> = {
    "+": () => map.zoom(1.5),
    "=": () => map.zoom(1.5),
    "-": () => map.zoom(1 / 1.5),
    "0": () => map.home(),
    ArrowLeft: () => map.pan(-STEP, 0),
    ArrowRight: () => map.pan(STEP, 0),
    ArrowUp: () => map.pan(0, STEP),
    ArrowDown: () => map.pan(0, -STEP),
  };
  canvas.addEventListener("keydown", (event) => {
    const run = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  });
  addTouch(map, canvas);
}

/** One finger pans, two pinch: the place under the fingers stays under them. */
function addTouch(map: StarMap, canvas: HTMLCanvasElement): void {
  interface Grip {
    mapX: number;
    mapY: number;
    spread: number;
    scale: number;
  }
  let grip: Grip | null = null;

  const fingers = (touches: TouchList) => {
    const box = canvas.getBoundingClientRect();
    const [a, b = a] = Array.from(touches);
    if (!a || !b) return null;
    return {
      x: (a.clientX + b.clientX) / 2 - box.left,
      y: (a.clientY + b.clientY) / 2 - box.top,
      spread: a === b ? 1 : Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY),
    };
  };
  const hold = (event: TouchEvent) => {
    const at = fingers(event.touches);
    const view = map.view();
    grip = at && {
      mapX: (at.x - view.shiftX) / view.scaleX,
      mapY: (at.y - view.shiftY) / view.scaleY,
      spread: at.spread,
      scale: view.scaleX,
    };
  };
  canvas.addEventListener("touchstart", hold, { passive: true });
  canvas.addEventListener("touchend", hold, { passive: true });
  canvas.addEventListener("touchmove", (event) => {
    const at = fingers(event.touches);
    if (!grip || !at) return;
    event.preventDefault();
    const { width, height } = map.view();
    const scale = (grip.scale * at.spread) / grip.spread;
    map.place(
      [grip.mapX + (width / 2 - at.x) / scale, grip.mapY - (height / 2 - at.y) / scale],
      height / 2 / scale,
    );
  }, { passive: false });
}
