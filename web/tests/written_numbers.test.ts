/** Numbers as people write them: the cases that the server's rule is pinned by. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { writtenNumber } from "../src/data/written_numbers.ts";

const path = new URL("../../tests/written_numbers.json", import.meta.url);
const cases = JSON.parse(readFileSync(path, "utf-8")) as [string, number | null][];

test("every case is what the server says", () => {
  assert.ok(cases.length > 50);
  for (const [text, number] of cases) {
    const found = writtenNumber(text);
    assert.ok(found === number, `${JSON.stringify(text)} is ${found}`); // -0 is 0
  }
});

test("numbers are read as they were written", () => {
  for (let whole = 1; whole < 1e15; whole = whole * 7 + 3) {
    for (const between of ["", ",", "'", "’", " ", "\u00a0", "\u2009", "\u202f"]) {
      const written = whole.toLocaleString("en-US").replaceAll(",", between);
      assert.equal(writtenNumber(written), whole);
      assert.equal(writtenNumber(` -${written}.25 `), -Number(`${whole}.25`));
    }
    assert.equal(writtenNumber(`${whole}.5K`), Number(`${whole}500`));
  }
});

test("what no float holds is no number", () => {
  assert.equal(writtenNumber("9".repeat(400)), null);
  assert.equal(writtenNumber(`${"9".repeat(270)}.25B`), Number(`${"9".repeat(270)}.25e9`));
});
