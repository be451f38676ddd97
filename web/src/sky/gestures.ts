/** What hands do to the map: drag, wheel, fingers, keys, clicks, and drawing a lasso. */

import type { Point } from "../data/types";
import { ask, drawingLasso, hovered } from "../state/store";
import { simplified } from "./lasso";
import { calm, Glide, WheelZoom } from "./motion";
import { Picking } from "./picking";
import type { Scene } from "./scene";
import { toMap, zoomedAt } from "./view";

const STEP = 0.22;
const KEY_ZOOM = 1.6;
const CLICK_REACH = 5;
const SMALLEST_LASSO = 3;

interface Finger {
  x: number;
  y: number;
  startX: number;
  startY: number;
}

export class Gestures {
  private readonly fingers = new Map<number, Finger>();
  private dragged = false;
  private lasso = false;
  private speedX = 0;
  private speedY = 0;
  private lastMove = 0;
  private readonly leaving = new AbortController();
  private readonly picking: Picking;

  constructor(private readonly scene: Scene, private readonly open: (row: number) => void) {
    this.picking = new Picking(scene);
    const { canvas } = scene;
    const options = { signal: this.leaving.signal };
    canvas.addEventListener("pointerdown", (event) => this.down(event), options);
    canvas.addEventListener("pointermove", (event) => this.move(event), options);
    canvas.addEventListener("pointerup", (event) => this.up(event, true), options);
    canvas.addEventListener("pointercancel", (event) => this.up(event, false), options);
    canvas.addEventListener("pointerleave", () => (hovered.value = null), options);
    canvas.addEventListener("wheel", (event) => this.wheel(event), { ...options, passive: false });
    canvas.addEventListener("dblclick", (event) => this.zoomBy(2.5, ...this.local(event)), options);
    canvas.addEventListener("keydown", (event) => this.key(event), options);
  }

  stop(): void {
    this.leaving.abort();
  }

  zoomBy(factor: number, left?: number, top?: number): void {
    const view = this.scene.views[left === undefined ? 0 : this.scene.paneAt(left, top!)]!;
    const from = this.scene.goal;
    this.scene.flyTo(zoomedAt(
      from, view, left ?? view.left + view.width / 2, top ?? view.top + view.height / 2, from.zoom * factor));
  }

  home(): void {
    this.scene.flyTo(this.scene.home);
  }

  cancelLasso(): void {
    this.lasso = false;
    drawingLasso.value = false;
    this.scene.lassoLine = [];
  }

  private local(event: MouseEvent): [number, number] {
    const box = this.scene.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  private down(event: PointerEvent): void {
    if (event.button > 0) return;
    const [x, y] = this.local(event);
    this.scene.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, { x, y, startX: x, startY: y });
    this.dragged = this.fingers.size > 1;
    this.lasso = this.fingers.size === 1 && (drawingLasso.peek() || event.shiftKey);
    [this.speedX, this.speedY] = [0, 0];
    this.scene.moveTo(this.scene.camera);
  }

  private move(event: PointerEvent): void {
    const [x, y] = this.local(event);
    const finger = this.fingers.get(event.pointerId);
    if (!finger) {
      if (event.pointerType !== "mouse" || this.scene.currentMotion) return;
      hovered.value = this.picking.pick(x, y, 9);
      this.picking.prefetch(x, y);
      return;
    }
    if (!this.dragged && Math.hypot(x - finger.startX, y - finger.startY) < CLICK_REACH) return;
    if (!this.dragged) hovered.value = null;
    this.dragged = true;
    if (this.lasso) return this.draw(finger, x, y);
    const before = this.grip();
    const elapsed = Math.max(1, event.timeStamp - this.lastMove);
    this.lastMove = event.timeStamp;
    [this.speedX, this.speedY] = [(x - finger.x) / elapsed, (y - finger.y) / elapsed];
    [finger.x, finger.y] = [x, y];
    const after = this.grip();
    const view = this.scene.views[this.scene.paneAt(before.x, before.y)]!;
    const { camera } = this.scene;
    const zoomed = zoomedAt(camera, view, before.x, before.y, (camera.zoom * after.spread) / before.spread);
    const scale = view.scale * (zoomed.zoom / camera.zoom);
    this.scene.moveTo({
      ...zoomed, x: zoomed.x - (after.x - before.x) / scale, y: zoomed.y + (after.y - before.y) / scale,
    });
  }

  private up(event: PointerEvent, done: boolean): void {
    const finger = this.fingers.get(event.pointerId);
    if (!this.fingers.delete(event.pointerId) || !finger) return;
    if (this.lasso) {
      this.lasso = false;
      return done ? this.close() : this.cancelLasso();
    }
    if (!done || this.fingers.size) return;
    if (!this.dragged) {
      const row = this.picking.pick(...this.local(event), event.pointerType === "mouse" ? 9 : 18);
      if (row !== null) this.open(row);
    } else if (event.timeStamp - this.lastMove < 60 && Math.hypot(this.speedX, this.speedY) > 0.3 && !calm()) {
      this.scene.animate(new Glide(this.speedX * 0.8, this.speedY * 0.8));
    }
  }

  /** The middle of all fingers, and how far apart two are. */
  private grip(): { x: number; y: number; spread: number } {
    const [a, b = a] = [...this.fingers.values()] as [Finger, Finger?];
    return {
      x: (a.x + b!.x) / 2,
      y: (a.y + b!.y) / 2,
      spread: a === b ? 1 : Math.max(10, Math.hypot(a.x - b!.x, a.y - b!.y)),
    };
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const [left, top] = this.local(event);
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 300 : 1;
    const speed = event.ctrlKey ? 0.012 : 0.0019;
    const factor = Math.exp(-Math.max(-240, Math.min(240, event.deltaY * lines)) * speed);
    const { currentMotion, camera } = this.scene;
    hovered.value = null;
    if (calm()) {
      const view = this.scene.views[this.scene.paneAt(left, top)]!;
      this.scene.moveTo(zoomedAt(camera, view, left, top, camera.zoom * factor));
    } else if (currentMotion instanceof WheelZoom) {
      currentMotion.add(factor, left, top);
    } else {
      this.scene.animate(new WheelZoom(camera.zoom * factor, left, top));
    }
  }

  private draw(finger: Finger, x: number, y: number): void {
    const view = this.scene.views[this.scene.paneAt(finger.startX, finger.startY)]!;
    if (!this.scene.lassoLine.length) this.scene.lassoLine = [toMap(view, finger.startX, finger.startY)];
    this.scene.lassoLine = [...this.scene.lassoLine, toMap(view, x, y)];
  }

  private close(): void {
    const corners: Point[] = simplified(this.scene.lassoLine);
    this.cancelLasso();
    if (corners.length >= SMALLEST_LASSO) ask({ region: corners });
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys: Record<string, () => void> = {
      "+": () => this.zoomBy(KEY_ZOOM),
      "=": () => this.zoomBy(KEY_ZOOM),
      "-": () => this.zoomBy(1 / KEY_ZOOM),
      "0": () => this.home(),
      ArrowLeft: () => this.pan(-STEP, 0),
      ArrowRight: () => this.pan(STEP, 0),
      ArrowUp: () => this.pan(0, STEP),
      ArrowDown: () => this.pan(0, -STEP),
      Enter: () => {
        const row = hovered.peek() ?? this.picking.middle();
        if (row !== null) this.open(row);
      },
      l: () => (drawingLasso.value = !drawingLasso.peek()),
      ...(drawingLasso.peek() || this.lasso ? { Escape: () => this.cancelLasso() } : {}),
    };
    const run = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!run) return;
    event.preventDefault();
    run();
    // Enter opens what is pointed at: let people see, and hear, which one that is.
    if (event.key !== "Enter" && event.key !== "Escape") hovered.value = this.picking.middle();
  }

  private pan(right: number, up: number): void {
    const view = this.scene.views[0]!;
    const { camera, goal: from } = this.scene;
    this.scene.flyTo({
      ...from,
      x: from.x + (right * view.width * camera.zoom) / (view.scale * from.zoom),
      y: from.y + (up * view.height * camera.zoom) / (view.scale * from.zoom),
    });
  }
}
