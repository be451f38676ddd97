/** The query's own star, and thin lines from it to the hits. */

import type { Answer, MapData } from "./api";
import type { Palette } from "./palette";
import { freshContext, project, type View } from "./view";

export class Constellation {
  private answer: Answer | null = null;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly star: HTMLElement,
    private readonly data: MapData,
  ) {}

  show(answer: Answer | null): void {
    this.answer = answer;
  }

  draw(view: View, colours: Palette): void {
    const position = this.answer?.position;
    this.star.hidden = this.canvas.hidden = !position;
    if (!this.answer || !position) return;
    const context = freshContext(this.canvas, view);
    const [x, y] = project(view, position.x, position.y);
    this.star.style.transform = `translate(${x}px, ${y}px)`;
    context.strokeStyle = colours.accent;
    context.lineWidth = 1;
    for (const [rank, hit] of this.answer.hits.entries()) {
      const hitX = this.data.x[hit.index];
      const hitY = this.data.y[hit.index];
      if (hitX === undefined || hitY === undefined) continue;
      context.globalAlpha = 0.42 * (1 - rank / this.answer.hits.length) + 0.06;
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(...project(view, hitX, hitY));
      context.stroke();
    }
  }
}
