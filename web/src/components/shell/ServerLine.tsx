import { useApp } from "../../state/context";
import { useStore } from "../../state/store";

/** Says who answers, a model or quotes, and who runs agents where that is another. */
export function ServerLine() {
  const { status } = useStore(useApp().server);
  if (!status) return null;
  const { generator, agents, reader } = status;
  const failed = reader?.failure ? `${reader.failure}. ${reader.hint ?? ""}` : undefined;
  const broken = failed !== undefined;
  const quotes = !generator || (reader?.answers && broken);
  const answers = quotes ? "Answers quote your documents" : `Answers by ${generator}`;
  const runs = agents && agents !== generator ? ` · Agents by ${agents}` : "";
  return (
    <footer className="server-line">
      <span title={failed}>
        {answers}
        {broken ? ` · ${reader?.name} does not load` : runs}
      </span>
      <span className="faint">
        Rostra {status.version} · {status.device}
      </span>
    </footer>
  );
}
