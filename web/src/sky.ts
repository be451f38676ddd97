/** Everything in the map's half of the page, drawn together on every frame. */

import type { Answer, Info, MapData } from "./api";
import { HoverCard } from "./card";
import { Constellation } from "./constellation";
import { addControls } from "./controls";
import { byId } from "./dom";
import { StarMap } from "./map";
import { Names } from "./names";
import { paintNebula, placeNebula } from "./nebula";
import { colourOf, onPaletteChange, palette } from "./palette";
import { project, type View } from "./view";

export class Sky {
  private readonly stars: StarMap;
  private readonly names = new Names(byId("names"));
  private readonly card = new HoverCard(byId("hover-card"));
  private readonly constellation: Constellation;
  private readonly nebula = byId<HTMLCanvasElement>("nebula");
  private colours = palette();
  private hovered: number | null = null;

  constructor(
    private readonly info: Info,
    private readonly data: MapData,
    onClick: (index: number) => void,
  ) {
    const canvas = byId<HTMLCanvasElement>("stars");
    this.constellation = new Constellation(byId<HTMLCanvasElement>("lines"), byId("query-star"), data);
    paintNebula(this.nebula, data, this.colours);
    this.stars = new StarMap(canvas, data, info.labels.length, this.colours, {
      hover: (index) => this.showCard(index),
      click: onClick,
      frame: (view) => this.frame(view),
    });
    addControls(this.stars, canvas);
    onPaletteChange(() => this.recolour());
  }

  async draw(): Promise<void> {
    this.names.show(this.data, this.info.labels, this.colours);
    await this.stars.draw();
  }

  show(answer: Answer | null): void {
    this.point(null);
    this.names.recede(answer !== null);
    this.constellation.show(answer);
    this.stars.highlight(answer ? answer.hits.map((hit) => hit.index) : []);
  }

  /** Lights one star from outside the map, with its card. */
  point(index: number | null): void {
    this.stars.hover(index);
    this.showCard(index);
  }

  centre(index: number): void {
    this.stars.centre(this.data.x[index]!, this.data.y[index]!);
  }

  isolate(label: number | null): void {
    this.names.isolate(label);
    this.stars.isolate(label);
  }

  screenPosition(index: number): [number, number] {
    return project(this.stars.view(), this.data.x[index]!, this.data.y[index]!);
  }

  private showCard(index: number | null): void {
    this.hovered = index;
    if (index === null) return this.card.hide();
    const label = this.data.label[index]!;
    const name = this.info.labels[label]?.name ?? null;
    this.card.show(this.data.ids[index]!, this.data.titles[index]!, name, colourOf(label, this.colours));
    this.card.place(this.screenPosition(index), this.stars.view());
  }

  private frame(view: View): void {
    placeNebula(this.nebula, view);
    this.constellation.draw(view, this.colours);
    this.names.place(view);
    if (this.hovered !== null) this.card.place(this.screenPosition(this.hovered), view);
  }

  private recolour(): void {
    this.colours = palette();
    paintNebula(this.nebula, this.data, this.colours);
    this.names.show(this.data, this.info.labels, this.colours);
    this.stars.recolour(this.colours);
  }
}
