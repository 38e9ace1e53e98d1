/** Nothing to list: because of the search, or because nothing was added yet. */
export function NoDocuments({ query }: { query: string }) {
  if (query) {
    return (
      <p className="no-documents">
        No document here matches “{query}”. This finds titles and names; to search inside documents,
        ask a question.
      </p>
    );
  }
  return (
    <div className="no-documents">
      <p className="no-documents-title">No documents yet</p>
      <p>
        Drop files or folders anywhere on this page, or choose them with “Add documents”. PDF,
        Office files, EPUB, HTML, e-mail, Markdown, LaTeX, notebooks, text, tables, source code and
        zip archives are read.
      </p>
    </div>
  );
}
