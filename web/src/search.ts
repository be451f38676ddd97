/** One question at a time: words, a picture, both, or a star; a newer question replaces the one under way. */

import { type Answer, neighbours, search } from "./api";

export interface SearchEvents {
  start(): void;
  answer(answer: Answer, title: string): void;
  fail(message: string): void;
}

export class Search {
  private running: AbortController | null = null;

  constructor(private readonly events: SearchEvents) {}

  byQuery(text: string, image: File | null): Promise<void> {
    const words = text ? `“${text}”` : "";
    const title = image ? (words ? `${words} with your picture` : "Like your picture") : words;
    return this.ask((signal) => search(text, image, signal), title);
  }

  byItem(id: string, title: string): Promise<void> {
    return this.ask((signal) => neighbours(id, signal), `Near “${title}”`);
  }

  stop(): void {
    this.running?.abort();
    this.running = null;
  }

  private async ask(question: (signal: AbortSignal) => Promise<Answer>, title: string): Promise<void> {
    this.stop();
    const mine = (this.running = new AbortController());
    this.events.start();
    try {
      const answer = await question(mine.signal);
      if (this.running === mine) this.events.answer(answer, title);
    } catch (error) {
      if (this.running === mine) this.events.fail(error instanceof Error ? error.message : String(error));
    }
  }
}
