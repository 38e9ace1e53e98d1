import type { AnswerMode } from "../../api/types";
import type { Answer } from "../../state/exchange";
import { formatMilliseconds } from "../../text/format";

const MODES: Record<AnswerMode, string> = {
  quote: "Quoted word for word",
  generate: "Written from the sources",
  agent: "Worked out by an agent",
};

/** How the answer came about. */
export function AnswerFooter({ answer }: { answer: Answer }) {
  const parts = [
    answer.mode && answer.found !== false ? MODES[answer.mode] : null,
    answer.milliseconds === null ? null : formatMilliseconds(answer.milliseconds),
  ].filter(Boolean);
  return parts.length > 0 ? <p className="answer-footer">{parts.join(" · ")}</p> : null;
}
