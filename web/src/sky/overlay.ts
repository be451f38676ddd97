/** What is drawn over the stars: lit hits and lines to them, rings, names, the lasso, links between compared maps. */

import type { Answer, Point } from "../data/types";
import {
  answer, colouring, comparing, hitRows, hovered, opened, otherAnswer, question, ranked,
} from "../state/store";
import { DIVIDER } from "./halves";
import { palette, type Palette } from "./palette";
import type { Scene } from "./scene";
import { morphing } from "./sky_state";
import { colourOfRow } from "./star_colours";
import { type Rect, TopicNames } from "./topic_names";
import { toScreen, type View } from "./view";

export class Overlay {
  /** Where names stand: pictures leave them free. */
  taken: Rect[] = [];
  /** The lasso while it is drawn, in map units, and on which map. */
  drawn: Point[] = [];
  private readonly names: TopicNames[];

  constructor(private readonly scene: Scene) {
    const { info, map, otherMap } = scene.loaded;
    this.names = [new TopicNames(info, map, info.topics)];
    if (otherMap) this.names.push(new TopicNames(info, otherMap, info.other?.topics ?? null));
  }

  /** Returns whether something still moves here. */
  draw(context: CanvasRenderingContext2D, ratio: number, elapsed: number, covered: readonly Rect[]): boolean {
    const theme = palette.peek();
    const { views } = this.scene;
    const two = views.length > 1;
    const asked = ranked.peek();
    this.taken = [];
    let fading = false;
    for (const [pane, view] of views.entries()) {
      clipped(context, view, ratio, () => {
        this.region(context, view, theme);
        const said = pane === 0 ? answer.peek() : otherAnswer.peek();
        if (said) this.constellation(context, view, pane, said, theme);
        context.setTransform(1, 0, 0, 1, 0, 0);
        const strength = asked ? 0.5 : 1;
        const { taken, fading: still } = this.names[pane]!.draw(
          context, view, this.scene.camera.zoom, theme, strength, ratio, elapsed, covered);
        if (pane === 0) this.taken = taken;
        fading ||= still;
        context.setTransform(ratio, 0, 0, ratio, 0, 0);
        this.rings(context, pane, theme);
      });
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (two) this.links(context, views, theme);
    return fading;
  }

  private region(context: CanvasRenderingContext2D, view: View, theme: Palette): void {
    const corners = this.drawn.length ? this.drawn : question.peek().region;
    if (!corners || corners.length < 2) return;
    context.beginPath();
    for (const [x, y] of corners) context.lineTo(...toScreen(view, x, y));
    if (!this.drawn.length) context.closePath();
    context.strokeStyle = theme.accent;
    context.lineWidth = 1.6;
    context.setLineDash(this.drawn.length ? [] : [6, 4]);
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 0.07;
    context.fillStyle = theme.accent;
    context.fill();
    context.globalAlpha = 1;
  }

  /** The query's own star, thin lines from it, and the hits as larger stars. */
  private constellation(
    context: CanvasRenderingContext2D, view: View, pane: number, said: Answer, theme: Palette,
  ): void {
    const { hits, position } = said;
    const data = this.scene.shown[pane]!.data;
    const middle = position && toScreen(view, position.x, position.y);
    if (middle) {
      context.strokeStyle = theme.accent;
      context.lineWidth = 1;
      for (const [rank, { row }] of hits.slice(0, 48).entries()) {
        const place = this.scene.at(row, pane);
        if (!place) continue;
        context.globalAlpha = 0.4 * (1 - rank / Math.min(48, hits.length)) + 0.06;
        context.beginPath();
        context.moveTo(...middle);
        context.lineTo(...place);
        context.stroke();
      }
    }
    if (!ranked.peek()) return;
    context.globalAlpha = 1;
    for (let rank = Math.min(hits.length, 200) - 1; rank >= 0; rank--) {
      const { row } = hits[rank]!;
      const place = this.scene.at(row, pane);
      if (!place) continue;
      const radius = rank < 24 ? 5 - rank / 16 : 3.2;
      context.beginPath();
      context.arc(...place, radius + 1.4, 0, 2 * Math.PI);
      context.fillStyle = theme.dark ? "#ffffff" : theme.ground;
      context.fill();
      context.beginPath();
      context.arc(...place, radius, 0, 2 * Math.PI);
      context.fillStyle = colourOfRow(data, row, colouring.peek(), theme);
      context.fill();
      if (!theme.dark) {
        context.lineWidth = 1.4;
        context.strokeStyle = theme.text;
        context.stroke();
      }
    }
    if (middle) star(context, ...middle, 13, theme);
  }

  private rings(context: CanvasRenderingContext2D, pane: number, theme: Palette): void {
    for (const [row, radius, colour] of [
      [opened.peek(), 12, theme.accent] as const, [hovered.peek(), 9, theme.text] as const,
    ]) {
      const place = row === null ? null : this.scene.at(row, pane);
      if (!place) continue;
      context.beginPath();
      context.arc(...place, radius, 0, 2 * Math.PI);
      context.strokeStyle = theme.ground;
      context.lineWidth = 5;
      context.globalAlpha = 0.6;
      context.stroke();
      context.globalAlpha = 1;
      context.strokeStyle = colour;
      context.lineWidth = 2;
      context.stroke();
    }
  }

  /** Across the divider: the same item on both maps. */
  private links(context: CanvasRenderingContext2D, views: View[], theme: Palette): void {
    const [one, other] = views as [View, View];
    context.fillStyle = theme.dark ? "#222a47" : "#d8deee";
    if (other.left > one.left) context.fillRect(one.left + one.width, 0, DIVIDER, one.height);
    else context.fillRect(0, one.top + one.height, one.width, DIVIDER);
    if (!comparing.peek() || morphing.peek()) return;
    const within = ([x, y]: [number, number], { left, top, width, height }: View) =>
      x > left && x < left + width && y > top && y < top + height;
    const link = (row: number, colour: string, opacity: number, width: number) => {
      const [from, to] = [this.scene.at(row, 0), this.scene.at(row, 1)];
      if (!from || !to || !within(from, one) || !within(to, other)) return;
      const bend = Math.abs(to[0] - from[0]) * 0.3;
      context.globalAlpha = opacity;
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...from);
      context.bezierCurveTo(from[0] + bend, from[1], to[0] - bend, to[1], to[0], to[1]);
      context.stroke();
      context.globalAlpha = 1;
    };
    for (const row of hitRows.peek().slice(0, 24)) link(row, theme.quiet, 0.35, 1);
    if (opened.peek() !== null) link(opened.peek()!, theme.accent, 0.9, 1.6);
    if (hovered.peek() !== null) link(hovered.peek()!, theme.text, 0.95, 1.6);
  }
}

function clipped(
  context: CanvasRenderingContext2D, { left, top, width, height }: View, ratio: number, draw: () => void,
): void {
  context.save();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.beginPath();
  context.rect(left, top, width, height);
  context.clip();
  draw();
  context.restore();
}

/** A star with four rays. */
function star(context: CanvasRenderingContext2D, x: number, y: number, size: number, theme: Palette): void {
  context.beginPath();
  for (let corner = 0; corner < 8; corner++) {
    const angle = (corner * Math.PI) / 4;
    const radius = corner % 2 ? size * 0.28 : size;
    context.lineTo(x + radius * Math.sin(angle), y - radius * Math.cos(angle));
  }
  context.closePath();
  context.lineJoin = "round";
  context.strokeStyle = theme.ground;
  context.lineWidth = 3;
  context.stroke();
  context.fillStyle = theme.accent;
  context.fill();
}
