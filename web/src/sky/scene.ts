/** The map as a whole: one canvas with one or two maps on it, the camera, and what is drawn over the stars. */

import type { Point } from "../data/types";
import { type Camera, camera as cameraSignal, comparing, type Loaded } from "../state/store";
import { following } from "./following";
import { DIVIDER, halves } from "./halves";
import { calm, Flight, type Motion } from "./motion";
import { Overlay } from "./overlay";
import { morphing, way } from "./sky_state";
import { StarField } from "./star_field";
import { Thumbnails } from "./thumbnails";
import type { Rect } from "./topic_names";
import { type Box, framing, HOME, sameCamera, toScreen, type View, viewOf } from "./view";

/** Milliseconds of drawing that a frame can bear beside all else. */
const DRAWING_TIME = 7;
const MOST_PIXELS = 3_200_000;
const AT_REST = 140;

export class Scene {
  readonly fields: StarField[];
  camera: Camera = { x: 0, y: 0, zoom: 1 };
  /** The camera that shows every star. */
  readonly home: Camera;
  /** Frames drawn so far, for measurements. */
  frames = 0;
  /** For what is placed beside a star. */
  afterFrame: () => void = () => undefined;
  private motion: Motion | null = null;
  private readonly context: CanvasRenderingContext2D;
  private readonly overlay: Overlay;
  readonly thumbnails: Thumbnails;
  private readonly stops: (() => void)[];
  private readonly resizing: ResizeObserver;
  private width = 1;
  private height = 1;
  private ratio = 1;
  private budget = 800_000;
  private request = 0;
  private lastFrame = 0;
  private lastMove = 0;
  private stale = true;
  private restTimer = 0;
  private covered: Rect[] = [];

  constructor(readonly canvas: HTMLCanvasElement, layer: HTMLElement, readonly loaded: Loaded) {
    this.context = canvas.getContext("2d", { alpha: false, willReadFrequently: true })!;
    this.fields = [loaded.map, ...(loaded.otherMap ? [loaded.otherMap] : [])].map((data) => new StarField(data));
    this.overlay = new Overlay(this);
    this.thumbnails = new Thumbnails(layer, loaded);
    this.home = this.middle();
    this.camera = this.seen(cameraSignal.peek());
    this.resizing = new ResizeObserver(() => this.fit());
    this.resizing.observe(canvas);
    this.fit();
    this.stops = following(this);
  }

  stop(): void {
    for (const stop of this.stops) stop();
    this.resizing.disconnect();
    this.thumbnails.clear();
    cancelAnimationFrame(this.request);
    clearTimeout(this.restTimer);
  }

  /** One view a map that is shown: side by side, or one above the other where the window is upright. */
  get views(): View[] {
    const boxes = this.shown.length === 1 ? [this.whole] : halves(this.whole);
    return boxes.map((box) => viewOf(this.camera, box, this.extent));
  }

  get whole(): Box {
    return { left: 0, top: 0, width: this.width, height: this.height };
  }

  get shown(): StarField[] {
    return comparing.peek() && !morphing.peek() ? this.fields : this.fields.slice(0, 1);
  }

  /** Both maps share it, so that their cameras agree. */
  get extent() {
    return {
      x: Math.max(...this.fields.map(({ extent }) => extent.x)),
      y: Math.max(...this.fields.map(({ extent }) => extent.y)),
    };
  }

  /** How far the stars of the one shown map are on their way to the other; 0 while two maps are shown. */
  get mixing(): number {
    return comparing.peek() && morphing.peek() ? way.peek() : 0;
  }

  private middle(): Camera {
    const { left, right, bottom, top } = this.fields[0]!.levels.bounds;
    return { x: (left + right) / 2, y: (bottom + top) / 2, zoom: 1 };
  }

  /** The camera that is meant by one that was told: seeing the whole map depends on where its middle is. */
  seen(camera: Camera): Camera {
    return sameCamera(camera, HOME) ? this.home : camera;
  }

  /** Which map lies under a place of the canvas. */
  paneAt(left: number, top: number): number {
    const half = DIVIDER / 2;
    const found = this.views.findIndex((view) =>
      left < view.left + view.width + half && top < view.top + view.height + half);
    return Math.max(0, found);
  }

  /** Where a row is on the canvas, in CSS pixels; null where that map lacks it. */
  at(row: number, pane = 0): [number, number] | null {
    const { x, y } = this.shown[pane]!.data;
    let [px, py] = [x[row], y[row]];
    if (px === undefined || py === undefined || px !== px) return null;
    const other = this.loaded.otherMap;
    if (other && this.mixing && other.x[row] === other.x[row]) {
      px += this.mixing * (other.x[row]! - px);
      py += this.mixing * (other.y[row]! - py);
    }
    return toScreen(this.views[pane]!, px, py);
  }

  /** The lasso while it is drawn, in map units. */
  get lassoLine(): Point[] {
    return this.overlay.drawn;
  }

  set lassoLine(line: Point[]) {
    this.overlay.drawn = line;
    this.refresh();
  }

  moveTo(camera: Camera): void {
    this.motion = null;
    this.camera = camera;
    this.moving();
  }

  animate(motion: Motion): void {
    if (calm() && motion instanceof Flight) return this.moveTo(motion.target);
    this.motion = motion;
    this.schedule();
  }

  get currentMotion(): Motion | null {
    return this.motion;
  }

  /** Where the camera is, or will be once it has arrived. */
  get goal(): Camera {
    return this.motion instanceof Flight ? this.motion.target : this.camera;
  }

  flyTo(camera: Camera): void {
    this.animate(new Flight(camera));
  }

  flyToRows(rows: readonly number[], more: readonly [number, number][] = []): void {
    const { x, y } = this.fields[0]!.data;
    const places = rows.map((row) => [x[row]!, y[row]!] as [number, number]).filter(([px]) => px === px);
    this.flyTo(framing([...places, ...more], this.views[0]!, this.extent));
  }

  /** Draws what lies over the stars anew, not the stars. */
  refresh(): void {
    this.schedule();
  }

  redraw(): void {
    this.stale = true;
    this.schedule();
  }

  private moving(): void {
    this.stale = true;
    this.lastMove = performance.now();
    this.schedule();
  }

  private schedule(): void {
    this.request ||= requestAnimationFrame((now) => this.frame(now));
  }

  private frame(now: number): void {
    this.request = 0;
    const elapsed = Math.min(100, Math.max(1, now - this.lastFrame));
    this.lastFrame = now;
    if (this.motion) {
      const moved = this.motion.step(this.camera, this.views[0]!, elapsed > 60 ? 16 : elapsed);
      if (!moved && this.motion instanceof Flight) this.camera = this.motion.target;
      if (!moved) this.motion = null;
      else this.camera = moved;
      this.stale = true;
      this.lastMove = performance.now();
    }
    this.drawStars();
    const unsettled = this.overlay.draw(this.context, this.ratio, elapsed, this.covered);
    this.thumbnails.place(this.views[0]!);
    this.afterFrame();
    this.frames++;
    if (this.motion || unsettled || this.shown.some((field) => field.pending)) this.schedule();
    clearTimeout(this.restTimer);
    this.restTimer = window.setTimeout(() => this.rest(), AT_REST);
    if (document.documentElement.dataset.mapReady) return;
    document.documentElement.dataset.mapReady = "true";
    performance.mark("map drawn");
  }

  private drawStars(): void {
    const started = performance.now();
    const { shown, views } = this;
    let cost = 0;
    for (const [pane, field] of shown.entries()) {
      const budget = this.budget / shown.length;
      cost += this.stale ? field.begin(views[pane]!, this.camera.zoom, this.ratio, budget) : field.refine(budget);
    }
    this.stale = false;
    const spent = performance.now() - started;
    if (cost > 50_000) {
      const fitting = (cost / Math.max(0.5, spent)) * DRAWING_TIME;
      this.budget = Math.min(2e7, Math.max(4e5, this.budget * 0.8 + fitting * 0.2));
    }
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    for (const [pane, field] of shown.entries()) field.present(this.context, views[pane]!, this.ratio);
  }

  /** Once the camera has stood still for a moment. */
  private rest(): void {
    if (performance.now() - this.lastMove < AT_REST - 10) return;
    const told = sameCamera(this.camera, this.home) ? HOME : this.camera;
    if (!sameCamera(told, cameraSignal.peek())) cameraSignal.value = told;
    const before = String(this.covered);
    this.measureCovers();
    if (String(this.covered) !== before) this.schedule();
    const one = this.shown.length === 1 && !this.mixing;
    if (one) this.thumbnails.choose(this.fields[0]!, this.views[0]!, this.overlay.taken);
    else this.thumbnails.clear();
  }

  /** What lies over the map, so that no name or picture hides under it. Measured at rest: it costs a layout. */
  private measureCovers(): void {
    const own = this.canvas.getBoundingClientRect();
    const covers = this.canvas.parentElement!.querySelectorAll("[data-covers-map]");
    this.covered = [...covers].map((element) => {
      const { left, top, right, bottom } = element.getBoundingClientRect();
      return [left - own.left, top - own.top, right - own.left, bottom - own.top];
    });
  }

  private fit(): void {
    this.width = Math.max(1, this.canvas.clientWidth);
    this.height = Math.max(1, this.canvas.clientHeight);
    this.ratio = Math.min(2, window.devicePixelRatio || 1, Math.sqrt(MOST_PIXELS / (this.width * this.height)));
    this.canvas.width = Math.round(this.width * this.ratio);
    this.canvas.height = Math.round(this.height * this.ratio);
    this.redraw();
    // A cleared canvas must not be seen: draw before the browser paints.
    if (this.frames) this.frame(performance.now());
  }
}
