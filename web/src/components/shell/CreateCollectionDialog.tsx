import { type FormEvent, useId, useState } from "react";
import { useAction } from "../../hooks/useAction";
import { useApp } from "../../state/context";
import { Modal } from "../shared/Modal";
import { ProblemNotice } from "../shared/ProblemNotice";

export function CreateCollectionDialog({ onClose }: { onClose: () => void }) {
  const app = useApp();
  const { busy, problem, run } = useAction();
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const id = useId();

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const wanted = name.trim();
    if (!wanted) return;
    if (await run(() => app.collections.create(wanted, description.trim()))) {
      onClose();
      app.router.go({ page: "documents", collection: wanted });
    }
  };

  return (
    <Modal
      title="New collection"
      description="A collection holds documents that are asked together."
      onClose={onClose}
    >
      <form className="form" onSubmit={submit}>
        <label htmlFor={`${id}-name`}>Name</label>
        <input
          id={`${id}-name`}
          className="input"
          value={name}
          onChange={(event) => setName(event.target.value)}
          autoComplete="off"
          spellCheck={false}
          required
        />
        <label htmlFor={`${id}-description`}>
          Description <span className="faint">(optional)</span>
        </label>
        <input
          id={`${id}-description`}
          className="input"
          value={description}
          onChange={(event) => setDescription(event.target.value)}
          autoComplete="off"
        />
        {problem && <ProblemNotice problem={problem} />}
        <div className="modal-actions">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button type="submit" className="button button-primary" disabled={busy || !name.trim()}>
            Create
          </button>
        </div>
      </form>
    </Modal>
  );
}
