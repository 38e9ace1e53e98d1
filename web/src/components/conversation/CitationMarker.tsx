import { useApp } from "../../state/context";
import type { NumberedSource } from "../../text/answer";
import { citationTarget, documentName } from "../source/target";

type Props = { source: NumberedSource; open: boolean };

/** The number at the end of a claim: opens the passage that the claim rests on. */
export function CitationMarker({ source, open }: Props) {
  const app = useApp();
  const { citation, number } = source;
  const page = citation.page === null ? "" : `, page ${citation.page}`;
  return (
    <button
      type="button"
      className="marker"
      aria-label={`Source ${number}: ${documentName(citation)}${page}`}
      aria-pressed={open}
      onClick={() => void app.source.open(citationTarget(citation))}
    >
      {number}
    </button>
  );
}
