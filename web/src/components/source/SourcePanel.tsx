import { SOURCE_FITS, useMediaQuery } from "../../hooks/useMediaQuery";
import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { Modal } from "../shared/Modal";
import { SourceAside } from "./SourceAside";
import { SourceView } from "./SourceView";

/** The open source: beside the conversation where there is room, else over it. */
export function SourcePanel() {
  const { source } = useApp();
  const open = useStore(source.store);
  const wide = useMediaQuery(SOURCE_FITS);
  if (!open) return null;
  if (wide) return <SourceAside source={open} onClose={source.close} />;
  return (
    <Modal
      title={`Source: ${open.target.title}`}
      hideTitle
      className="sheet"
      onClose={source.close}
    >
      <SourceView source={open} onClose={source.close} />
    </Modal>
  );
}
