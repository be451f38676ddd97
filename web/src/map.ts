/** The stars: a WebGL scatter plot with a camera. */

import createRegl from "regl";
import createScatterplot, { createRenderer } from "regl-scatterplot";
import type { MapData } from "./api";
import { calm } from "./dom";
import { colourOf, type Palette } from "./palette";
import { type View, viewOf } from "./view";

/** The plot's colour table; labels beyond it share the colour of the rest. */
const MAX_CATEGORIES = 512;
const DIMMED = 0.06;
const EXTENSIONS = ["OES_texture_float", "OES_element_index_uint", "WEBGL_color_buffer_float", "EXT_float_blend"];
/** The plot's own types do not know this setting yet. */
const NO_LASSO: object = { actionKeyMap: {} };

export interface StarMapEvents {
  hover(index: number | null): void;
  click(index: number): void;
  /** After every drawn frame, for what is laid over the stars. */
  frame(view: View): void;
}

export function hasWebGL(): boolean {
  const gl = document.createElement("canvas").getContext("webgl");
  const able = Boolean(gl?.getExtension("OES_texture_float"));
  gl?.getExtension("WEBGL_lose_context")?.loseContext();
  return able;
}

export class StarMap {
  private readonly plot: ReturnType<typeof createScatterplot>;
  private readonly categories: number;
  private readonly opacity: number;
  private isolated: number | null = null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly data: MapData,
    labelCount: number,
    private colours: Palette,
    events: StarMapEvents,
  ) {
    const count = data.x.length;
    this.categories = Math.min(labelCount, MAX_CATEGORIES) + 1;
    this.opacity = Math.max(0.35, Math.min(0.9, 4.6 / Math.log10(count + 10) - 0.5));
    this.plot = createScatterplot({
      renderer: rendererFor(canvas),
      canvas,
      pointSize: pointSize(count, canvas),
      pointSizeSelected: 2.5,
      pointOutlineWidth: 1.5,
      colorBy: "valueA",
      opacityBy: "valueA",
      opacityInactiveMax: 0.3,
      opacityInactiveScale: 0.5,
      deselectOnDblClick: false,
      deselectOnEscape: false,
      ...NO_LASSO,
      ...this.colouring(),
    });
    this.plot.subscribe("pointOver", (index: number) => events.hover(index));
    this.plot.subscribe("pointOut", () => events.hover(null));
    this.plot.subscribe("select", ({ points }: { points: number[] }) => {
      if (points[0] !== undefined) events.click(points[0]);
    });
    this.plot.subscribe("drawing", () => events.frame(this.view()));
  }

  async draw(): Promise<void> {
    const valueA = Float32Array.from(this.data.label, (label) => this.category(label));
    await this.plot.draw({ x: this.data.x, y: this.data.y, valueA }, { zDataType: "categorical" });
    this.home(false);
  }

  highlight(indices: number[]): void {
    this.plot.select(indices, { preventEvent: true });
  }

  hover(index: number | null): void {
    this.plot.hover(index ?? -1, { preventEvent: true });
  }

  isolate(label: number | null): void {
    this.isolated = label;
    this.plot.set(this.colouring());
  }

  recolour(colours: Palette): void {
    this.colours = colours;
    this.plot.set(this.colouring());
  }

  /** Shows every star, whatever the shape of the window. */
  home(smooth = true): void {
    const { clientWidth, clientHeight } = this.canvas;
    const aspect = clientWidth / Math.max(1, clientHeight);
    this.move([0, 0], 1.16 * Math.max(1, 1 / aspect), smooth);
  }

  zoom(factor: number): void {
    const camera = this.plot.get("camera");
    this.move([...camera.target] as [number, number], camera.distance[0] / factor);
  }

  /** Moves by a share of the view's height. */
  pan(right: number, up: number): void {
    const camera = this.plot.get("camera");
    const distance: number = camera.distance[0];
    this.move([camera.target[0] + right * distance, camera.target[1] + up * distance], distance);
  }

  /** Brings a place to the middle, no farther out than `distance`. */
  centre(x: number, y: number, distance = 0.6): void {
    this.move([x, y], Math.min(distance, this.plot.get("camera").distance[0]));
  }

  place(target: [number, number], distance: number): void {
    this.move(target, distance, false);
  }

  view(): View {
    return viewOf(this.plot.get("cameraView") as ArrayLike<number>, this.canvas.clientWidth, this.canvas.clientHeight);
  }

  private move(target: [number, number], distance: number, smooth = true): void {
    const bounded = Math.min(6, Math.max(0.002, distance));
    const transition = smooth && !calm();
    void this.plot.zoomToLocation(target, bounded, { transition, transitionDuration: 450 });
  }

  /** Category 0 is "no label"; label n is category n + 1. */
  private category(label: number): number {
    return label >= 0 && label + 1 < this.categories ? label + 1 : 0;
  }

  private colouring() {
    const all = Array.from({ length: this.categories }, (_, category) => category - 1);
    const lit = this.isolated === null ? null : this.category(this.isolated);
    const pointColor = all.map((label) => colourOf(label, this.colours));
    return {
      pointColor,
      // One colour a category works here too, though the plot's types promise only one colour in all.
      pointColorActive: pointColor as unknown as string,
      pointColorHover: this.colours.dark ? "#ffffff" : "#101427",
      backgroundColor: this.colours.background,
      opacity: all.map((label) => (lit === null || label + 1 === lit ? this.opacity : DIMMED)),
    };
  }
}

/** Smaller stars where there are many of them, or little room. */
function pointSize(count: number, { clientWidth, clientHeight }: HTMLCanvasElement): number {
  const room = Math.min(1, Math.max(0.55, Math.sqrt(clientWidth * clientHeight) / 800));
  return Math.max(1.5, room * (9.2 - 1.3 * Math.log10(count + 10)));
}

/**
 * A renderer of the map's own size and without multisampling. The plot's default covers the whole window and smooths
 * the edges of its one full-screen triangle, which makes frames several times slower where WebGL runs in software.
 */
function rendererFor(canvas: HTMLCanvasElement): ReturnType<typeof createRenderer> {
  const hidden = document.createElement("canvas");
  const gl = hidden.getContext("webgl", { antialias: false, depth: false, preserveDrawingBuffer: true });
  if (!gl) throw new Error("This browser cannot draw the map.");
  const extensions = EXTENSIONS.filter((name) => gl.getExtension(name));
  const renderer = createRenderer({ regl: createRegl({ gl, extensions }), canvas: hidden });
  const fit = () => {
    renderer.resize(Math.max(1, canvas.clientWidth), Math.max(1, canvas.clientHeight));
    renderer.refresh();
  };
  new ResizeObserver(fit).observe(canvas);
  fit();
  return renderer;
}
