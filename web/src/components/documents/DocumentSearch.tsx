import { useEffect, useId, useState } from "react";
import { Icon } from "../shared/Icon";

/** Typing pauses this long before the list is asked again. */
const PAUSE_MS = 250;

export function DocumentSearch({ onSearch }: { onSearch: (text: string) => void }) {
  const [text, setText] = useState("");
  const id = useId();

  // biome-ignore lint/correctness/useExhaustiveDependencies: only the text starts a search.
  useEffect(() => {
    const timer = setTimeout(() => onSearch(text.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);

  return (
    <search className="document-search">
      <Icon name="search" />
      <label htmlFor={id} className="visually-hidden">
        Find a document by title or name
      </label>
      <input
        id={id}
        type="search"
        className="input"
        placeholder="Find a document by title or name"
        value={text}
        onChange={(event) => setText(event.target.value)}
        autoComplete="off"
      />
    </search>
  );
}
