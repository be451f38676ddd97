/** What items must have, and how to search; folded away until wanted. */

import { ask, type Loaded, question } from "../state/store";
import { words } from "../words/words";
import { ConditionField } from "./ConditionField";
import { Icon } from "./Icon";
import { LabelField } from "./LabelField";

export function Filters({ universe }: { universe: Loaded }) {
  const { hybrid, distinct } = question.value;
  const { info, source } = universe;
  const set = Number(hybrid) + Number(distinct);
  return (
    <details class="filters" data-testid="filters">
      <summary>
        <Icon name="filter" />{words("search.filters")}
        {set > 0 && <span class="badge">{words("search.options_set", { count: set })}</span>}
      </summary>
      <div class="filters-body">
        {info.labels.length > 0 && <LabelField labels={info.labels} />}
        {info.columns.length > 0 && <ConditionField columns={info.columns} />}
        {!source.offline && (
          <>
            <Toggle on={hybrid} name={words("search.hybrid")} note={words("search.hybrid_note")} testid="hybrid"
              onChange={(on) => ask({ hybrid: on })} />
            <Toggle on={distinct} name={words("search.distinct")} note={words("search.distinct_note")}
              testid="distinct" onChange={(on) => ask({ distinct: on })} />
          </>
        )}
      </div>
    </details>
  );
}

interface ToggleProps {
  on: boolean;
  name: string;
  note: string;
  testid: string;
  onChange: (on: boolean) => void;
}

function Toggle({ on, name, note, testid, onChange }: ToggleProps) {
  return (
    <label class="toggle">
      <input type="checkbox" checked={on} data-testid={testid}
        onChange={(event) => onChange(event.currentTarget.checked)} />
      <span>{name}<small class="quiet">{note}</small></span>
    </label>
  );
}
