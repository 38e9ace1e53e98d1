import type { Answer } from "../../state/exchange";
import { stageSentence } from "./StageLine";

/** Tells screen readers each stage and then the whole answer once, not word by word. */
export function Announcer({ answer }: { answer: Answer | undefined }) {
  return (
    <p className="visually-hidden" role="status" aria-live="polite">
      {answer ? announcement(answer) : ""}
    </p>
  );
}

function announcement(answer: Answer): string {
  switch (answer.phase) {
    case "asking":
      return stageSentence(answer.stage, answer.passages?.length ?? null);
    case "done": {
      const sources = new Set(answer.citations.map((c) => `${c.document_id}:${c.start}`)).size;
      return sources > 0 ? `${answer.text} (${sources} cited)` : answer.text;
    }
    case "stopped":
      return "Stopped";
    default:
      // Failures announce themselves.
      return "";
  }
}
