import { useApp } from "../../state/context";
import type { OpenSource } from "../../state/source";
import { ProblemNotice } from "../shared/ProblemNotice";
import { SourceHeader } from "./SourceHeader";
import { SourceQuote } from "./SourceQuote";
import { SourceText } from "./SourceText";

type Props = { source: OpenSource; onClose: () => void };

export function SourceView({ source, onClose }: Props) {
  const app = useApp();
  const { target, phase, problem, changed } = source;
  return (
    <div className="source-view">
      <SourceHeader source={source} onClose={onClose} />
      {phase === "loading" && (
        <p className="source-loading faint" role="status">
          Loading the passage…
        </p>
      )}
      {problem && (
        <div className="source-notice">
          <ProblemNotice
            problem={problem}
            onRetry={problem.status === 404 ? undefined : () => void app.source.open(target)}
          />
          {target.quote && <SourceQuote title="The answer quoted" quote={target.quote} />}
        </div>
      )}
      {changed && target.quote && (
        <div className="source-notice">
          <SourceQuote
            title="This document has changed since the answer was given. It quoted"
            quote={target.quote}
          />
        </div>
      )}
      {source.window && source.document && (
        <SourceText key={target.documentId} source={source} onGrow={app.source.grow} />
      )}
    </div>
  );
}
