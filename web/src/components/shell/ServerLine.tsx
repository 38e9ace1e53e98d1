import { useApp } from "../../state/context";
import { useStore } from "../../state/store";

/** Says who answers: the model that writes, or that passages are quoted. */
export function ServerLine() {
  const { status } = useStore(useApp().server);
  if (!status) return null;
  const mode = status.generator ? `Answers by ${status.generator}` : "Answers quote your documents";
  return (
    <footer className="server-line">
      <span>{mode}</span>
      <span className="faint">
        Rostra {status.version} · {status.device}
      </span>
    </footer>
  );
}
