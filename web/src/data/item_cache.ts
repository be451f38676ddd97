/** Items by row, asked for together: whatever is wanted within one frame becomes one request. */

import type { Source } from "./source";
import type { Item } from "./types";

/** What the server answers at once. */
const AT_ONCE = 200;

export class ItemCache {
  private readonly known = new Map<number, Item>();
  private readonly asked = new Map<number, Promise<void>>();
  private waiting: number[] = [];
  private next: Promise<void> | null = null;

  constructor(private readonly source: Source) {}

  /** An item that is here already; undefined else. */
  peek(row: number): Item | undefined {
    return this.known.get(row);
  }

  keep(items: readonly Item[]): void {
    for (const item of items) this.known.set(item.row, item);
  }

  async get(row: number): Promise<Item | undefined> {
    await this.load([row]);
    return this.known.get(row);
  }

  /** Brings items here; a row that cannot be had is left out quietly, and asked for again next time. */
  async load(rows: readonly number[]): Promise<void> {
    const missing = rows.filter((row) => !this.known.has(row) && !this.asked.has(row));
    if (missing.length) {
      this.waiting.push(...missing);
      this.next ??= Promise.resolve().then(() => this.ask());
      for (const row of missing) this.asked.set(row, this.next);
    }
    await Promise.all(new Set(rows.map((row) => this.asked.get(row))));
  }

  private async ask(): Promise<void> {
    const rows = this.waiting;
    this.waiting = [];
    this.next = null;
    for (let start = 0; start < rows.length; start += AT_ONCE) {
      const some = rows.slice(start, start + AT_ONCE);
      await this.source.items(some).then((items) => this.keep(items), () => undefined);
      for (const row of some) this.asked.delete(row);
    }
  }
}
