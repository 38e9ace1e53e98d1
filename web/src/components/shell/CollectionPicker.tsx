import * as Menu from "@radix-ui/react-dropdown-menu";
import { useState } from "react";
import { currentCollection } from "../../state/collections";
import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { formatCount } from "../../text/format";
import { Icon } from "../shared/Icon";
import { CreateCollectionDialog } from "./CreateCollectionDialog";

/** Which collection is asked. Not modal, so that no style element is written into the page. */
export function CollectionPicker() {
  const app = useApp();
  const state = useStore(app.collections.store);
  const [creating, setCreating] = useState(false);
  const current = currentCollection(state);
  return (
    <>
      <Menu.Root modal={false}>
        <Menu.Trigger className="picker" aria-label={`Collection: ${state.current}`}>
          <Icon name="folder" />
          <span className="picker-text">
            <span className="picker-name">{state.current}</span>
            <span className="picker-count">
              {current ? formatCount(current.documents, "document") : "empty"}
            </span>
          </span>
          <Icon name="chevron" />
        </Menu.Trigger>
        <Menu.Portal>
          <Menu.Content className="menu" align="start" sideOffset={6} collisionPadding={12}>
            <Menu.Label className="menu-label">Collections</Menu.Label>
            <Menu.RadioGroup value={state.current} onValueChange={app.chooseCollection}>
              {state.items.map((collection) => (
                <Menu.RadioItem key={collection.id} value={collection.name} className="menu-item">
                  <span className="menu-check">
                    <Menu.ItemIndicator>
                      <Icon name="check" />
                    </Menu.ItemIndicator>
                  </span>
                  <span className="menu-text">{collection.name}</span>
                  <span className="menu-count">{formatCount(collection.documents, "doc")}</span>
                </Menu.RadioItem>
              ))}
            </Menu.RadioGroup>
            {state.items.length === 0 && <p className="menu-empty">None yet.</p>}
            <Menu.Separator className="menu-separator" />
            <Menu.Item className="menu-item" onSelect={() => setCreating(true)}>
              <span className="menu-check">
                <Icon name="add" />
              </span>
              <span className="menu-text">New collection…</span>
            </Menu.Item>
          </Menu.Content>
        </Menu.Portal>
      </Menu.Root>
      {creating && <CreateCollectionDialog onClose={() => setCreating(false)} />}
    </>
  );
}
