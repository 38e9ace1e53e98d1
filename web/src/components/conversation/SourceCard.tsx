import { useApp } from "../../state/context";
import type { NumberedSource } from "../../text/answer";
import { citationTarget, documentName } from "../source/target";

export function SourceCard({ source }: { source: NumberedSource }) {
  const app = useApp();
  const { citation, number } = source;
  return (
    <button
      type="button"
      className="source-card"
      onClick={() => void app.source.open(citationTarget(citation))}
    >
      <span className="source-number">{number}</span>
      <span className="source-body">
        <span className="source-title">
          <span className="source-name">{documentName(citation)}</span>
          {citation.page !== null && <span className="source-page">page {citation.page}</span>}
        </span>
        <span className="source-quote" dir="auto">
          {citation.quote}
        </span>
      </span>
    </button>
  );
}
