import { currentCollection } from "../../state/collections";
import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { formatCount } from "../../text/format";
import { UploadButton } from "../documents/UploadButton";
import { Link } from "../shared/Link";

/** What a new chat shows: what will be asked, or how to give it something to read. */
export function ConversationStart() {
  const app = useApp();
  const state = useStore(app.collections.store);
  const collection = currentCollection(state);
  if (!state.loaded) return <div className="start" />;
  if (!collection || collection.documents === 0) {
    return (
      <div className="start">
        <h2 className="start-title">Start with your documents</h2>
        <p className="start-text">
          Add files to <strong>{state.current}</strong>, then ask about them. Every answer shows the
          passage it comes from.
        </p>
        <UploadButton primary />
        <p className="start-note">
          Or drop files and folders anywhere on this page. PDF, Office files, EPUB, HTML, e-mail,
          Markdown, LaTeX, notebooks, text, tables, source code and zip archives are read.
        </p>
      </div>
    );
  }
  return (
    <div className="start">
      <h2 className="start-title">What do you want to know?</h2>
      <p className="start-text">
        Answers come from{" "}
        <Link to={{ page: "documents", collection: collection.name }}>
          {formatCount(collection.documents, "document")} in {collection.name}
        </Link>
        , with the passage each one rests on.
      </p>
    </div>
  );
}
