import { useState } from "react";
import type { Chat } from "../../api/types";
import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { ConfirmDialog } from "../shared/ConfirmDialog";
import { ProblemNotice } from "../shared/ProblemNotice";
import { ChatItem } from "./ChatItem";

export function ChatList() {
  const app = useApp();
  const { items, total, loaded, problem } = useStore(app.chats.store);
  const route = useStore(app.router.route);
  const [deleting, setDeleting] = useState<Chat | null>(null);
  const openId = route.page === "chat" ? route.chatId : null;
  return (
    <section className="chats" aria-labelledby="chats-heading">
      <h2 id="chats-heading" className="section-label">
        Chats
      </h2>
      {problem && !app.server.get().problem && (
        <ProblemNotice problem={problem} onRetry={() => void app.chats.load()} />
      )}
      {loaded && items.length === 0 && (
        <p className="faint chats-empty">Your conversations will be kept here.</p>
      )}
      <ul className="chat-list">
        {items.map((chat) => (
          <ChatItem
            key={chat.id}
            chat={chat}
            open={chat.id === openId}
            onDelete={() => setDeleting(chat)}
          />
        ))}
      </ul>
      {items.length < total && (
        <button
          type="button"
          className="button button-quiet button-small"
          onClick={() => void app.chats.loadMore()}
        >
          Show older chats
        </button>
      )}
      {deleting && (
        <ConfirmDialog
          title="Delete this chat?"
          description={`“${deleting.title ?? "Untitled chat"}” and its answers will be gone. Documents stay.`}
          action="Delete chat"
          onConfirm={() => app.deleteChat(deleting.id)}
          onClose={() => setDeleting(null)}
        />
      )}
    </section>
  );
}
