/** How many were found, among how many; and what can be done with all of them. */

import { answer, busy, comparing, type Loaded, loaded, message, question } from "../state/store";
import { lineOf } from "../state/universe";
import { words } from "../words/words";
import { Icon } from "./Icon";

export function ResultsHead({ universe }: { universe: Loaded }) {
  const found = answer.value;
  const { info } = universe;
  return (
    <div class="found-head">
      <h2>{words("results.title")}</h2>
      <p class="quiet" role="status" data-testid="count">{busy.value ? words("results.searching") : counted()}</p>
      <div class="found-tools">
        {info.other && (
          <button type="button" class="pill" aria-pressed={comparing.value} data-testid="compare"
            title={words("results.compare_note", { name: info.other.model })}
            onClick={() => (comparing.value = !comparing.value)}>
            <Icon name="compare" />{words("results.compare")}
          </button>
        )}
        {found && found.among > 0 && (
          <button type="button" class="pill" data-testid="csv" onClick={() => void save()}
            title={words("results.csv_note", { count: found.among })}>
            <Icon name="download" />{words("results.csv")}
          </button>
        )}
      </div>
    </div>
  );
}

function counted(): string {
  const found = answer.value;
  if (!found) return "";
  const { count } = loaded.value!.info;
  const shown = words("results.count", { count: found.hits.length });
  const among = found.among < count ? words("results.among", { among: found.among }) : "";
  const recall = found.recall !== null && found.recall < 1
    ? words("results.recall", { percent: Math.round(found.recall * 100) }) : "";
  return [shown, among, recall].filter(Boolean).join(" · ");
}

/** Hands over everything that the filters keep, as a file. */
async function save(): Promise<void> {
  const universe = loaded.value;
  if (!universe) return;
  try {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await universe.source.csv(question.value));
    link.download = `${universe.info.name.replace(/[^\p{L}\p{N}]+/gu, "-") || "universe"}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    message.value = lineOf(error);
  }
}
