import { useEffect, useState } from "react";
import type { DocumentInfo } from "../../api/types";
import { useApp } from "../../state/context";
import { DOCUMENTS_PER_PAGE } from "../../state/documents";
import { useStore } from "../../state/store";
import { ConfirmDialog } from "../shared/ConfirmDialog";
import { ProblemNotice } from "../shared/ProblemNotice";
import { documentName } from "../source/target";
import { CollectionHeader } from "./CollectionHeader";
import { DocumentSearch } from "./DocumentSearch";
import { DocumentTable } from "./DocumentTable";
import { JobList } from "./JobList";
import { NoDocuments } from "./NoDocuments";
import { Pager } from "./Pager";
import { UploadList } from "./UploadList";

export function DocumentsPage() {
  const app = useApp();
  const state = useStore(app.documents.store);
  const [deleting, setDeleting] = useState<DocumentInfo | null>(null);
  const { collection, query, items, total, loading, problem } = state;

  useEffect(() => {
    document.title = `${collection ?? "Documents"} · Rostra`;
  }, [collection]);

  if (collection === null) return null;
  const empty = items.length === 0 && !loading && !problem;
  return (
    <div className="documents">
      <CollectionHeader name={collection} />
      <UploadList collection={collection} />
      <JobList collection={collection} />
      {(query || total > 0 || loading) && (
        <DocumentSearch key={collection} onSearch={(text) => void app.documents.search(text)} />
      )}
      {problem && <ProblemNotice problem={problem} onRetry={() => void app.documents.reload()} />}
      {empty && <NoDocuments query={query} />}
      {items.length > 0 && (
        <DocumentTable documents={items} loading={loading} onDelete={setDeleting} />
      )}
      <Pager
        offset={state.offset}
        size={DOCUMENTS_PER_PAGE}
        total={total}
        onTurn={(offset) => void app.documents.turnTo(offset)}
      />
      {deleting && (
        <ConfirmDialog
          title="Delete this document?"
          description={`“${documentName(deleting)}” will no longer be searched or cited. Answers already given keep their quotes.`}
          action="Delete document"
          onConfirm={() => app.documents.remove(deleting.id)}
          onClose={() => setDeleting(null)}
        />
      )}
    </div>
  );
}
