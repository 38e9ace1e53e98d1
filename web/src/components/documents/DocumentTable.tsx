import type { DocumentInfo } from "../../api/types";
import { DocumentRow } from "./DocumentRow";

type Props = {
  documents: DocumentInfo[];
  loading: boolean;
  onDelete: (document: DocumentInfo) => void;
};

export function DocumentTable({ documents, loading, onDelete }: Props) {
  return (
    <table className="document-table" aria-busy={loading}>
      <caption className="visually-hidden">Documents of this collection</caption>
      <thead>
        <tr>
          <th scope="col">Document</th>
          <th scope="col">Type</th>
          <th scope="col" className="number">
            Size
          </th>
          <th scope="col" className="number">
            Chunks
          </th>
          <th scope="col">Updated</th>
          <th scope="col">
            <span className="visually-hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {documents.map((document) => (
          <DocumentRow key={document.id} document={document} onDelete={() => onDelete(document)} />
        ))}
      </tbody>
    </table>
  );
}
