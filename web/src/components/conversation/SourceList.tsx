import { useId } from "react";
import type { NumberedSource } from "../../text/answer";
import { SourceCard } from "./SourceCard";

export function SourceList({ sources }: { sources: NumberedSource[] }) {
  const id = useId();
  return (
    <section className="sources" aria-labelledby={id}>
      <h3 id={id} className="section-label">
        Sources
      </h3>
      <ol className="source-list">
        {sources.map((source) => (
          <li key={source.number}>
            <SourceCard source={source} />
          </li>
        ))}
      </ol>
    </section>
  );
}
