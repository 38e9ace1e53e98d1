import { useEffect, useState } from "react";
import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { Icon } from "../shared/Icon";
import { Modal } from "../shared/Modal";
import { Brand } from "./Brand";
import { SidebarContent } from "./SidebarContent";

/** On narrow screens: the bar that opens the sidebar as a drawer. */
export function TopBar() {
  const app = useApp();
  const route = useStore(app.router.route);
  const [open, setOpen] = useState(false);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new route means a choice was made.
  useEffect(() => setOpen(false), [route]);

  const newChat = () => {
    setOpen(false);
    app.newChat();
  };
  return (
    <header className="top-bar">
      <button
        type="button"
        className="icon-button"
        aria-label="Open menu"
        aria-expanded={open}
        onClick={() => setOpen(true)}
      >
        <Icon name="menu" />
      </button>
      <Brand />
      <button type="button" className="icon-button" aria-label="New chat" onClick={newChat}>
        <Icon name="add" />
      </button>
      {open && (
        <Modal title="Menu" hideTitle className="drawer" onClose={() => setOpen(false)}>
          <div className="drawer-head">
            <Brand />
            <button
              type="button"
              className="icon-button"
              aria-label="Close menu"
              onClick={() => setOpen(false)}
            >
              <Icon name="close" />
            </button>
          </div>
          <SidebarContent />
        </Modal>
      )}
    </header>
  );
}
