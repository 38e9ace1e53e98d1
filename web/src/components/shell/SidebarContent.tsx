import { ChatList } from "./ChatList";
import { CollectionPicker } from "./CollectionPicker";
import { Navigation } from "./Navigation";
import { ServerLine } from "./ServerLine";

export function SidebarContent() {
  return (
    <>
      <CollectionPicker />
      <Navigation />
      <ChatList />
      <ServerLine />
    </>
  );
}
