/** Finding items by the words of their titles and labels: what a page without a model can do. */

const MARKS = /[\u0300-\u036f]/g; // accents; other scripts' marks are letters of theirs
const BETWEEN_WORDS = /[^\p{L}\p{N}\p{M}]+/u;

/** Case, accents and forms of the same character make no difference. */
export function folded(text: string): string {
  return text.normalize("NFKD").replace(MARKS, "").normalize("NFC").toUpperCase().toLowerCase();
}

/** The words of a text; a text of signs alone is one word. */
export function wordsOf(text: string): string[] {
  const found = folded(text).split(BETWEEN_WORDS).filter(Boolean);
  const whole = folded(text).trim();
  return found.length || !whole ? found : [whole];
}

/**
 * How well a title and labels match, 0: not at all. More words come first, then whole words before parts of words, then
 * words of the title before those of labels. Title and labels must be `folded`.
 */
export function matchOf(wanted: readonly string[], title: string, labels: readonly string[]): number {
  let sum = 0;
  for (const word of wanted) {
    const inTitle = placeOf(word, title);
    const inLabels = inTitle === WHOLE ? NOWHERE : Math.max(NOWHERE, ...labels.map((label) => placeOf(word, label)));
    const best = Math.max(inTitle && 2 * inTitle + 1, inLabels && 2 * inLabels);
    if (best) sum += FOUND + best;
  }
  return sum;
}

const FOUND = 1000; // above all that places can add
const NOWHERE = 0;
const PART = 1;
const WHOLE = 2;

function placeOf(word: string, text: string): number {
  let found = NOWHERE;
  for (let start = text.indexOf(word); start >= 0; start = text.indexOf(word, start + 1)) {
    if (isBorder(text, start - 1) && isBorder(text, start + word.length)) return WHOLE;
    found = PART;
  }
  return found;
}

function isBorder(text: string, place: number): boolean {
  const character = text[place];
  return character === undefined || BETWEEN_WORDS.test(character);
}
