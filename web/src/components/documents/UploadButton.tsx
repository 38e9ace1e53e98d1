import { type ChangeEvent, useRef } from "react";
import { chosenFiles } from "../../files/dropped";
import { useApp } from "../../state/context";
import { Icon } from "../shared/Icon";

/** Opens the file chooser; the input stays hidden behind a real button. */
export function UploadButton({ primary = false }: { primary?: boolean }) {
  const app = useApp();
  const input = useRef<HTMLInputElement>(null);
  const onChange = (event: ChangeEvent<HTMLInputElement>) => {
    const files = chosenFiles(event.target.files ?? []);
    // The same file may be chosen again after it was changed or refused.
    event.target.value = "";
    app.upload(files);
  };
  return (
    <>
      <button
        type="button"
        className={primary ? "button button-primary" : "button"}
        onClick={() => input.current?.click()}
      >
        <Icon name="upload" />
        Add documents
      </button>
      <input
        ref={input}
        type="file"
        multiple
        hidden
        aria-label="Files to add"
        onChange={onChange}
      />
    </>
  );
}
