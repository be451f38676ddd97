/** What items must have, one chip each: labels, conditions on columns, a region of the map. */

import { ask, question } from "../state/store";
import { words } from "../words/words";
import { Chip } from "./Chip";
import { Icon } from "./Icon";

export function FilterChips() {
  const { labels, notLabels, conditions, region } = question.value;
  const less = (list: string[], name: string) => list.filter((one) => one !== name);
  return (
    <>
      {labels.map((name) => (
        <Chip key={`label ${name}`} name={name} action={words("search.label_turn_not")}
          onPress={() => ask({ labels: less(labels, name), notLabels: [...notLabels, name] })}
          onRemove={() => ask({ labels: less(labels, name) })}>
          <Icon name="label" />
          <span class="chip-name" dir="auto">{name}</span>
        </Chip>
      ))}
      {notLabels.map((name) => (
        <Chip key={`not ${name}`} name={name} without action={words("search.label_turn")}
          onPress={() => ask({ notLabels: less(notLabels, name), labels: [...labels, name] })}
          onRemove={() => ask({ notLabels: less(notLabels, name) })}>
          <Icon name="label" />
          <span class="chip-sign">{words("search.not")}</span>
          <span class="chip-name" dir="auto">{name}</span>
        </Chip>
      ))}
      {conditions.map((condition) => {
        const name = `${condition.column} ${SIGNS[condition.operator]} ${condition.value}`;
        return (
          <Chip key={name} name={name} onRemove={() => ask({ conditions: conditions.filter((c) => c !== condition) })}>
            <Icon name="filter" />
            <span class="chip-name" dir="auto">{name}</span>
          </Chip>
        );
      })}
      {region && (
        <Chip name={words("search.region_drawn")} onRemove={() => ask({ region: null })}>
          <Icon name="region" />
          <span class="chip-name">{words("search.region_drawn")}</span>
        </Chip>
      )}
    </>
  );
}

export const SIGNS = { "=": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥" } as const;
