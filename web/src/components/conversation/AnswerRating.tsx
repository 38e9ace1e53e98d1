import { type FormEvent, useEffect, useId, useRef, useState } from "react";
import type { Rating, RatingValue } from "../../api/types";
import { useAction } from "../../hooks/useAction";
import { useApp } from "../../state/context";
import { Icon } from "../shared/Icon";
import { ProblemNotice } from "../shared/ProblemNotice";

type Props = { messageId: string; rating: Rating | null };

const THUMBS = [
  { value: "up", label: "Good answer", icon: "thumbUp" },
  { value: "down", label: "Bad answer", icon: "thumbDown" },
] as const;

/** Two thumbs, and a line for what was wrong. Pressing a thumb again takes it back. */
export function AnswerRating({ messageId, rating }: Props) {
  const app = useApp();
  const { problem, run } = useAction();
  const [writing, setWriting] = useState<"no" | "offered" | "asked">("no");
  const down = useRef<HTMLButtonElement>(null);

  const rate = (next: Rating | null) => run(() => app.conversation.rate(messageId, next));
  const press = async (value: RatingValue) => {
    const again = rating?.value === value;
    if (await rate(again ? null : { value, note: "" }))
      setWriting(!again && value === "down" ? "offered" : "no");
  };
  const save = async (note: string) => {
    if (!(await rate({ value: "down", note }))) return;
    setWriting("no");
    // The field that had the focus is gone.
    down.current?.focus();
  };

  return (
    <div className="rating">
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset would be a form's. */}
      <div className="rating-thumbs" role="group" aria-label="Rate this answer">
        {THUMBS.map(({ value, label, icon }) => (
          <button
            key={value}
            ref={value === "down" ? down : undefined}
            type="button"
            className="icon-button rating-thumb"
            aria-label={label}
            aria-pressed={rating?.value === value}
            title={label}
            onClick={() => void press(value)}
          >
            <Icon name={icon} />
          </button>
        ))}
      </div>
      {rating?.value === "down" &&
        (writing !== "no" ? (
          <NoteForm note={rating.note} focused={writing === "asked"} onSave={save} />
        ) : (
          <button type="button" className="rating-note" onClick={() => setWriting("asked")}>
            {rating.note ? `“${rating.note}”` : "Add a note"}
          </button>
        ))}
      {problem && <ProblemNotice problem={problem} />}
    </div>
  );
}

type NoteProps = { note: string; focused: boolean; onSave: (note: string) => Promise<void> };

function NoteForm({ note, focused, onSave }: NoteProps) {
  const [text, setText] = useState(note);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();

  // The button that was pressed for it has given way to it.
  useEffect(() => {
    if (focused) field.current?.focus();
  }, [focused]);

  const submit = (event: FormEvent) => {
    event.preventDefault();
    void onSave(text.trim());
  };
  return (
    <form className="rating-form" onSubmit={submit}>
      <label htmlFor={id} className="visually-hidden">
        What was wrong? (optional)
      </label>
      <input
        id={id}
        ref={field}
        className="input"
        value={text}
        maxLength={2000}
        dir="auto"
        placeholder="What was wrong? (optional)"
        onChange={(event) => setText(event.target.value)}
      />
      <button type="submit" className="button button-small">
        Save
      </button>
    </form>
  );
}
