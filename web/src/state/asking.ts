/** What people do to the question, in the terms of the page. */

import { foldedLabel } from "../data/same_label";
import type { Part, Question } from "../data/types";
import { words } from "../words/words";
import { ask, message, question, tab } from "./store";

export type Side = "like" | "without";

/** The one text that is asked for alone: the search box shows it, and no chip is needed. */
export function textAlone({ like, without }: Question): string | null {
  const [first] = like;
  return like.length === 1 && !without.length && first?.kind === "text" && first.weight === 1 ? first.text : null;
}

/** Asks for words in place of the words or items before; pictures and what is left out stay. */
export function askWords(text: string): void {
  const pictures = question.value.like.filter((part) => part.kind === "picture");
  const like: Part[] = text ? [...pictures, { kind: "text", text, weight: 1 }] : pictures;
  ask({ like });
}

export function addPart(side: Side, part: Part): void {
  ask({ [side]: [...question.value[side], part] });
}

export function removePart(side: Side, part: Part): void {
  ask({ [side]: question.value[side].filter((one) => one !== part) });
}

export function reweigh(side: Side, part: Part, weight: number): void {
  ask({ [side]: question.value[side].map((one) => (one === part ? { ...part, weight } : one)) });
}

/** Turns a part into one to stay away from, or back. */
export function turn(side: Side, part: Part): void {
  const other: Side = side === "like" ? "without" : "like";
  const { [side]: here, [other]: there } = question.value;
  ask({ [side]: here.filter((one) => one !== part), [other]: [...there, part] });
}

export function moreLike(item: { id: string; title: string }): void {
  ask({ like: [{ kind: "item", id: item.id, title: item.title, weight: 1 }], without: [] });
  tab.value = "search";
}

export function addLabel(name: string): void {
  const { labels, notLabels } = question.value;
  const others = (names: string[]) => names.filter((one) => foldedLabel(one) !== foldedLabel(name));
  ask({ labels: [...others(labels), name], notLabels: others(notLabels) });
  tab.value = "search";
}

/** Asks for pictures in place of the pictures or items before, or beside them. */
export function askPictures(files: Iterable<File>, beside = false): void {
  const pictures = picturesAmong(files);
  if (!pictures.length) return;
  const kept = question.value.like.filter((part) => beside || part.kind === "text");
  ask({ like: [...kept, ...pictures.map((file): Part => ({ kind: "picture", file, weight: 1 }))] });
}

/** Those files that are pictures; says so where one is not. */
export function picturesAmong(files: Iterable<File>): File[] {
  const all = [...files];
  const refused = all.find((file) => !file.type.startsWith("image/"));
  message.value = refused ? words("search.not_a_picture", { name: refused.name }) : null;
  return all.filter((file) => file.type.startsWith("image/"));
}

const previews = new WeakMap<File, string>();

/** An address of the picture for this page. */
export function preview(file: File): string {
  const known = previews.get(file) ?? URL.createObjectURL(file);
  previews.set(file, known);
  return known;
}
