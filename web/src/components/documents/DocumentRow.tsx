import type { DocumentInfo } from "../../api/types";
import { useApp } from "../../state/context";
import { formatBytes, formatMediaType, formatNumber, formatWhen } from "../../text/format";
import { Icon } from "../shared/Icon";
import { documentName, documentTarget } from "../source/target";

type Props = { document: DocumentInfo; onDelete: () => void };

export function DocumentRow({ document, onDelete }: Props) {
  const app = useApp();
  const name = documentName(document);
  return (
    <tr>
      <td className="document-cell">
        <button
          type="button"
          className="document-open"
          onClick={() => void app.source.open(documentTarget(document))}
        >
          <span className="document-title">{name}</span>
          {document.uri !== name && <span className="document-uri">{document.uri}</span>}
        </button>
      </td>
      <td>{formatMediaType(document.media_type)}</td>
      <td className="number">{formatBytes(document.bytes)}</td>
      <td className="number">
        {formatNumber(document.chunks)}
        <span className="unit">{document.chunks === 1 ? " chunk" : " chunks"}</span>
      </td>
      <td>{formatWhen(document.updated_at)}</td>
      <td className="document-actions">
        <button
          type="button"
          className="icon-button"
          aria-label={`Delete ${name}`}
          onClick={onDelete}
        >
          <Icon name="trash" />
        </button>
      </td>
    </tr>
  );
}
