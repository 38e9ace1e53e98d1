import { useEffect, useState } from "react";
import { droppedFiles } from "../../files/dropped";
import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { Icon } from "../shared/Icon";

/** The whole window takes files; while they hover it says where they will go. */
export function DropTarget() {
  const app = useApp();
  const { current } = useStore(app.collections.store);
  const [hovering, setHovering] = useState(false);

  useEffect(() => {
    // Entering a child leaves its parent, so only the balance says whether files are over the page.
    let depth = 0;
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      depth++;
      setHovering(true);
    };
    const over = (event: DragEvent) => {
      if (holdsFiles(event)) event.preventDefault();
    };
    const leave = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setHovering(false);
    };
    const drop = async (event: DragEvent) => {
      if (!holdsFiles(event) || !event.dataTransfer) return;
      event.preventDefault();
      depth = 0;
      setHovering(false);
      const files = await droppedFiles(event.dataTransfer);
      if (files.length > 0) app.upload(files);
    };
    addEventListener("dragenter", enter);
    addEventListener("dragover", over);
    addEventListener("dragleave", leave);
    addEventListener("drop", drop);
    return () => {
      removeEventListener("dragenter", enter);
      removeEventListener("dragover", over);
      removeEventListener("dragleave", leave);
      removeEventListener("drop", drop);
    };
  }, [app]);

  if (!hovering) return null;
  return (
    <div className="drop-target">
      <div className="drop-card">
        <Icon name="upload" />
        <p>
          Drop to add to <strong>{current}</strong>
        </p>
      </div>
    </div>
  );
}
