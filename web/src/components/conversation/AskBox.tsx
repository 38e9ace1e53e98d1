import {
  type FormEvent,
  type KeyboardEvent,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from "react";
import { Icon } from "../shared/Icon";

type Props = {
  collection: string;
  asking: boolean;
  onAsk: (question: string) => void;
  onStop: () => void;
};

/** Where questions are written: Enter sends, Shift+Enter breaks the line. */
export function AskBox({ collection, asking, onAsk, onStop }: Props) {
  const [text, setText] = useState("");
  const field = useRef<HTMLTextAreaElement>(null);
  const id = useId();

  // On touch screens focus would open the keyboard over the page.
  useEffect(() => {
    if (matchMedia("(pointer: fine)").matches) field.current?.focus();
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the height follows the text.
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);

  const submit = (event?: FormEvent) => {
    event?.preventDefault();
    const question = text.trim();
    if (!question || asking) return;
    setText("");
    onAsk(question);
  };

  const stop = () => {
    onStop();
    field.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    // Enter that ends a composition (Japanese, Chinese, Korean input) is not for us.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    submit();
  };

  return (
    <form className="ask" onSubmit={submit}>
      <div className="ask-box">
        <label htmlFor={id} className="visually-hidden">
          Question
        </label>
        <textarea
          id={id}
          ref={field}
          className="ask-field"
          rows={1}
          value={text}
          dir="auto"
          placeholder={`Ask the documents in ${collection}`}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onKeyDown}
        />
        {/* Keys: were it one element, a click on Stop would go on to submit the draft. */}
        {asking ? (
          <button key="stop" type="button" className="ask-button" aria-label="Stop" onClick={stop}>
            <Icon name="stop" />
          </button>
        ) : (
          <button
            key="ask"
            type="submit"
            className="ask-button"
            aria-label="Ask"
            disabled={!text.trim()}
          >
            <Icon name="send" />
          </button>
        )}
      </div>
      <p className="ask-hint">Enter to ask, Shift + Enter for a new line</p>
    </form>
  );
}
