/** Labels in any case and Unicode form. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { foldedLabel, heldLabels } from "../src/data/same_label.ts";

test("labels that differ in case or form are the same", () => {
  for (const same of [["Cat", "cat", "CAT"], ["é", "É", "e\u0301", "E\u0301"], ["straße", "STRASSE", "STRAẞE"],
    ["고양이", "고양이".normalize("NFD")], ["ΟΔΟΣ", "οδος", "οδοσ"], ["İ", "i\u0307"], ["ﬁsh", "FISH"], ["ſ", "S"]]) {
    assert.deepEqual(new Set(same.map(foldedLabel)).size, 1, same.join(" "));
  }
});

test("labels that differ in more are not", () => {
  const names = ["cat", "cats", "c at", "cåt", "i", "ı", "e", "é", "", " ", "①", "1", "ｃａｔ"];
  assert.equal(new Set(names.map(foldedLabel)).size, names.length);
});

test("what is asked for is taken as it stands, or else in the most frequent spelling", () => {
  const labels = [{ name: "Cat" }, { name: "dog" }, { name: "CAT" }];
  assert.deepEqual(heldLabels(labels, ["CAT", "cat", "Cat", "DOG", "bird"]), ["CAT", "Cat", "dog"]);
  assert.deepEqual(heldLabels(labels, []), []);
});
