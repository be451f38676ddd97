/** Asks for items whose column holds, or compares with, a value. */

import { useState } from "preact/hooks";
import type { Column, Condition } from "../data/types";
import { ask, question } from "../state/store";
import { words } from "../words/words";
import { SIGNS } from "./FilterChips";

const OPERATORS = Object.keys(SIGNS) as Condition["operator"][];

export function ConditionField({ columns }: { columns: readonly Column[] }) {
  const [name, setName] = useState(columns[0]!.name);
  const [operator, setOperator] = useState<Condition["operator"]>("=");
  const [value, setValue] = useState("");
  const column = columns.find((one) => one.name === name) ?? columns[0]!;
  const ordered = column.kind === "int" || column.kind === "float";
  const known = ordered ? OPERATORS : OPERATORS.slice(0, 2);
  const shownOperator = known.includes(operator) ? operator : "=";
  const shownValue = column.kind === "bool" && !value ? "true" : value.trim();
  const add = (event: Event) => {
    event.preventDefault();
    if (!shownValue) return;
    ask({ conditions: [...question.value.conditions,
      { column: column.name, operator: shownOperator, value: shownValue }] });
    setValue("");
  };
  return (
    <form class="field" onSubmit={add}>
      <span class="field-name" id="condition-name">{words("search.condition")}</span>
      <div class="condition" role="group" aria-labelledby="condition-name">
        <select value={column.name} aria-label={words("search.column")} data-testid="condition-column"
          onChange={(event) => {
            setName(event.currentTarget.value);
            setValue("");
          }}>
          {columns.map((one) => <option key={one.name} value={one.name}>{one.name}</option>)}
        </select>
        <select value={shownOperator} aria-label={words("search.operator")} data-testid="condition-operator"
          onChange={(event) => setOperator(event.currentTarget.value as Condition["operator"])}>
          {known.map((one) => <option key={one} value={one}>{SIGNS[one]}</option>)}
        </select>
        {column.kind === "bool" ? (
          <select value={shownValue} aria-label={words("search.value")}
            onChange={(event) => setValue(event.currentTarget.value)}>
            <option value="true">{words("search.yes")}</option>
            <option value="false">{words("search.no")}</option>
          </select>
        ) : (
          <input type="text" inputMode={ordered ? "decimal" : "text"} value={value} dir="auto"
            aria-label={words("search.value")} data-testid="condition-value"
            onInput={(event) => setValue(event.currentTarget.value)} />
        )}
        <button type="submit" class="pill" data-testid="condition-add">{words("search.add")}</button>
      </div>
    </form>
  );
}
