import type { OpenSource } from "../../state/source";
import { formatMediaType } from "../../text/format";
import { pageAt } from "../../text/passage";
import { Icon } from "../shared/Icon";

type Props = { source: OpenSource; onClose: () => void };

export function SourceHeader({ source, onClose }: Props) {
  const { target, document } = source;
  const page =
    target.page ?? (target.span && document ? pageAt(document.spans, target.span.start) : null);
  return (
    <header className="source-header">
      <div className="source-heading">
        <h2>{target.title}</h2>
        <p className="source-facts">
          {page !== null && <span className="source-page">page {page}</span>}
          {document && <span>{formatMediaType(document.media_type)}</span>}
          <span className="source-uri" title={target.uri}>
            {target.uri}
          </span>
        </p>
      </div>
      <button type="button" className="icon-button" aria-label="Close source" onClick={onClose}>
        <Icon name="close" />
      </button>
    </header>
  );
}
