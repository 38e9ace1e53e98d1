import type { AnswerMode } from "../../api/types";
import type { Answer } from "../../state/exchange";
import { formatMilliseconds } from "../../text/format";

const MODES: Record<AnswerMode, string> = {
  quote: "Quoted word for word",
  generate: "Written from the sources",
  agent: "Worked out by an agent",
};

/** How the answer came about; one that cites nothing says so. */
export function AnswerFooter({ answer }: { answer: Answer }) {
  const bare = answer.mode === "generate" && answer.citations.length === 0;
  const how = answer.mode && (bare ? "Written without a source: check it" : MODES[answer.mode]);
  const parts = [
    answer.found !== false ? how : null,
    answer.milliseconds === null ? null : formatMilliseconds(answer.milliseconds),
  ].filter(Boolean);
  return parts.length > 0 ? <p className="answer-footer">{parts.join(" · ")}</p> : null;
}
