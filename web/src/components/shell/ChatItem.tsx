import type { Chat } from "../../api/types";
import { formatWhen } from "../../text/format";
import { Icon } from "../shared/Icon";
import { Link } from "../shared/Link";

type Props = { chat: Chat; open: boolean; onDelete: () => void };

export function ChatItem({ chat, open, onDelete }: Props) {
  const title = chat.title || "Untitled chat";
  return (
    <li className="chat-item" data-open={open || undefined}>
      <Link to={{ page: "chat", chatId: chat.id }} current={open} className="chat-link">
        <span className="chat-title">{title}</span>
        <span className="chat-meta">
          {chat.collection} · {formatWhen(chat.updated_at)}
        </span>
      </Link>
      <button
        type="button"
        className="icon-button chat-delete"
        aria-label={`Delete chat: ${title}`}
        onClick={onDelete}
      >
        <Icon name="trash" />
      </button>
    </li>
  );
}
