/** Labels in any case and Unicode form, as the server takes them (`index/search/contents.py`). */

/** Equal for labels that differ in case or Unicode form alone. */
export function foldedLabel(name: string): string {
  // Through lower, upper and lower case again, "ẞ" and "ß" are "ss"; the dotless "ı" would become "i" and is left out.
  const cased = name.normalize("NFD").replace(/[^ı]+/g, (part) => part.toLowerCase().toUpperCase().toLowerCase());
  return cased.normalize("NFC");
}

/** The names under which labels that were asked for are held: as they stand, or else the most frequent spelling. */
export function heldLabels(labels: readonly { name: string }[], asked: readonly string[]): string[] {
  if (!asked.length) return [];
  const names = new Set(labels.map(({ name }) => name));
  const byForm = new Map<string, string>();
  for (const name of names) {
    const form = foldedLabel(name);
    if (!byForm.has(form)) byForm.set(form, name);
  }
  return [...new Set(asked.flatMap((name) => (names.has(name) ? name : byForm.get(foldedLabel(name)) ?? [])))];
}
