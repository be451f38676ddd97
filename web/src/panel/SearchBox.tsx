/** Words or a picture to search with. Enter asks anew; two buttons put more words beside what is asked. */

import { useEffect, useRef, useState } from "preact/hooks";
import { addPart, askPictures, askWords, textAlone } from "../state/asking";
import { busy, type Loaded, question } from "../state/store";
import { words } from "../words/words";
import { Icon } from "./Icon";
import { PictureButton } from "./PictureButton";

const LONGEST = 10_000; // characters

export function SearchBox({ universe }: { universe: Loaded }) {
  const alone = textAlone(question.value);
  const [draft, setDraft] = useState(alone ?? "");
  const input = useRef<HTMLInputElement>(null);
  const { like, without } = question.value;
  const { offline } = universe.source;
  const text = draft.trim();
  // The box shows the words that are asked for alone, and is empty once they are chips.
  useEffect(() => setDraft(alone ?? ""), [alone, like, without]);

  const submit = (event: Event) => {
    event.preventDefault();
    if (text || alone !== null) askWords(text);
    else input.current?.focus();
  };
  // Emptied, the box asks for nothing: what was asked there must not linger unseen.
  const type = (written: string) => {
    setDraft(written);
    if (!written && alone !== null) askWords("");
  };
  const add = (side: "like" | "without") => {
    addPart(side, { kind: "text", text, weight: 1 });
    setDraft("");
    input.current?.focus();
  };
  const beside = !offline && text !== "" && text !== alone && like.length + without.length > 0;
  return (
    <form class="search" onSubmit={submit}>
      <div class="search-box">
        <input ref={input} id="search-input" type="search" value={draft} maxLength={LONGEST} dir="auto"
          autocomplete="off" spellcheck={false} enterkeyhint="search" data-testid="search-input"
          placeholder={offline ? words("search.placeholder_words") : words("search.placeholder")}
          aria-label={offline ? words("search.placeholder_words") : words("search.input")}
          onInput={(event) => type(event.currentTarget.value)} />
        {!offline && (
          <PictureButton label={words("search.picture")} testid="image-input" onPick={(files) => askPictures(files)} />
        )}
        <button type="submit" class="icon-button submit" aria-label={words("search.submit")}
          title={words("search.submit")} aria-busy={busy.value}>
          <Icon name="search" />
        </button>
      </div>
      {beside && (
        <div class="beside">
          <button type="button" class="pill" data-testid="add-text" onClick={() => add("like")}>
            <Icon name="add" />{words("search.and_text")}
          </button>
          <button type="button" class="pill" data-testid="add-without" onClick={() => add("without")}>
            <Icon name="without" />{words("search.without_text")}
          </button>
        </div>
      )}
    </form>
  );
}
