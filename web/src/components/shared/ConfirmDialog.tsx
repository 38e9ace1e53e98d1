import { useAction } from "../../hooks/useAction";
import { Modal } from "./Modal";
import { ProblemNotice } from "./ProblemNotice";

type Props = {
  title: string;
  description: string;
  action: string;
  onConfirm: () => Promise<void>;
  onClose: () => void;
};

/** Asks before something is lost. Stays open, with the reason, when the action fails. */
export function ConfirmDialog({ title, description, action, onConfirm, onClose }: Props) {
  const { busy, problem, run } = useAction();
  const confirm = async () => {
    if (await run(onConfirm)) onClose();
  };
  return (
    <Modal role="alertdialog" title={title} description={description} onClose={onClose}>
      {problem && <ProblemNotice problem={problem} />}
      <div className="modal-actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" className="button button-danger" disabled={busy} onClick={confirm}>
          {action}
        </button>
      </div>
    </Modal>
  );
}
