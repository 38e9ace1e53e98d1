import { useState } from "react";
import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { formatCount } from "../../text/format";
import { ConfirmDialog } from "../shared/ConfirmDialog";
import { Icon } from "../shared/Icon";
import { UploadButton } from "./UploadButton";

export function CollectionHeader({ name }: { name: string }) {
  const app = useApp();
  const { items } = useStore(app.collections.store);
  const [deleting, setDeleting] = useState(false);
  const collection = items.find((candidate) => candidate.name === name);
  return (
    <header className="collection-header">
      <div className="collection-heading">
        <h1>{name}</h1>
        {collection?.description && <p className="faint">{collection.description}</p>}
        {collection && (
          <p className="collection-counts">
            {formatCount(collection.documents, "document")} ·{" "}
            {formatCount(collection.chunks, "chunk")} · {collection.embedding.model}
          </p>
        )}
      </div>
      <div className="collection-actions">
        {collection && (
          <button
            type="button"
            className="button button-quiet"
            onClick={() => setDeleting(true)}
            aria-label={`Delete collection ${name}`}
          >
            <Icon name="trash" />
            Delete
          </button>
        )}
        <UploadButton primary />
      </div>
      {deleting && (
        <ConfirmDialog
          title={`Delete ${name}?`}
          description={`The collection and its ${formatCount(collection?.documents ?? 0, "document")} will be gone for good.`}
          action="Delete collection"
          onConfirm={() => app.deleteCollection(name)}
          onClose={() => setDeleting(false)}
        />
      )}
    </header>
  );
}
