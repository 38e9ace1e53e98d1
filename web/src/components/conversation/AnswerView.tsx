import { useMemo } from "react";
import type { Answer } from "../../state/exchange";
import { citeAnswer } from "../../text/answer";
import { Icon } from "../shared/Icon";
import { ProblemNotice } from "../shared/ProblemNotice";
import { AnswerFooter } from "./AnswerFooter";
import { AnswerRating } from "./AnswerRating";
import { AnswerText } from "./AnswerText";
import { NotFoundNotice } from "./NotFoundNotice";
import { PassageList } from "./PassageList";
import { SourceList } from "./SourceList";
import { StageLine } from "./StageLine";

type Props = { answer: Answer; onRetry: () => void };

export function AnswerView({ answer, onRetry }: Props) {
  const { phase, text, citations, passages, problem } = answer;
  const cited = useMemo(() => citeAnswer(text, citations), [text, citations]);
  const notFound = phase === "done" && answer.found === false;
  return (
    <div className="answer">
      {notFound ? (
        <NotFoundNotice text={text} />
      ) : (
        text && <AnswerText pieces={cited.pieces} writing={phase === "asking"} />
      )}
      {phase === "asking" && <StageLine stage={answer.stage} passages={passages?.length ?? null} />}
      {problem && <ProblemNotice problem={problem} onRetry={onRetry} retryLabel="Ask again" />}
      {(phase === "stopped" || phase === "missing") && (
        <p className="answer-stopped">
          {phase === "stopped" ? "Stopped." : "This question was not answered."}
          <button type="button" className="button button-small" onClick={onRetry}>
            <Icon name="retry" />
            Ask again
          </button>
        </p>
      )}
      {cited.sources.length > 0 && <SourceList sources={cited.sources} />}
      {phase === "done" && (
        <div className="answer-end">
          <AnswerFooter answer={answer} />
          {answer.messageId && <AnswerRating messageId={answer.messageId} rating={answer.rating} />}
        </div>
      )}
      {phase === "done" && passages && passages.length > 0 && <PassageList passages={passages} />}
    </div>
  );
}
