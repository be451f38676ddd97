/** Numbers as people write them: the same rule as the server's (`index/table/written_numbers.py`). */

// Groups of three with one separator throughout, a comma, an apostrophe or a space of some width; or digits alone.
const NUMBER =
  /^(-?(?:[1-9][0-9]{0,2}([,'’ \u00a0\u2009\u202f])[0-9]{3}(?:\2[0-9]{3})*|0|[1-9][0-9]*)(?:\.[0-9]+)?)([KkMmBb])?$/;
const LONGEST = 290;
const ZEROS: Record<string, number> = { k: 3, m: 6, b: 9 };

/** The number that a text writes out, as "5,400" and "1.2M" do; null where it writes none. */
export function writtenNumber(text: string): number | null {
  const plain = text.trim();
  const found = plain.length <= LONGEST ? NUMBER.exec(plain) : null;
  if (!found) return null;
  const digits = found[1]!.replaceAll(found[2] ?? ",", "");
  return Number(`${digits}e${ZEROS[found[3]?.toLowerCase() ?? ""] ?? 0}`);
}
