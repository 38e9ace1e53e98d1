import { useEffect } from "react";
import { useApp } from "../../state/context";
import { isAsking } from "../../state/conversation";
import { useStore } from "../../state/store";
import { ProblemNotice } from "../shared/ProblemNotice";
import { Announcer } from "./Announcer";
import { AskBox } from "./AskBox";
import { ConversationStart } from "./ConversationStart";
import { Transcript } from "./Transcript";

export function ConversationPage() {
  const app = useApp();
  const state = useStore(app.conversation.store);
  const { current } = useStore(app.collections.store);
  const { chatId, exchanges, loading, problem } = state;
  const collection = state.collection ?? current;
  const fresh = exchanges.length === 0 && !loading && !problem;
  const title = state.title ?? exchanges[0]?.question;

  useEffect(() => {
    document.title = title ? `${title} · Rostra` : "Rostra";
  }, [title]);

  return (
    <div className="conversation" data-new={fresh || undefined}>
      <h1 className="visually-hidden">{title ? `Chat: ${title}` : "New chat"}</h1>
      {problem && chatId ? (
        <div className="conversation-problem">
          <ProblemNotice problem={problem} onRetry={() => void app.conversation.open(chatId)} />
        </div>
      ) : loading ? (
        <p className="conversation-loading faint">Opening the chat…</p>
      ) : fresh ? (
        <ConversationStart />
      ) : (
        <Transcript exchanges={exchanges} collection={collection} />
      )}
      <Announcer answer={exchanges.at(-1)?.answer} />
      {!problem && (
        <AskBox
          key={state.visit}
          collection={collection}
          asking={isAsking(state)}
          onAsk={(question) => void app.conversation.ask(question, collection)}
          onStop={app.conversation.stop}
        />
      )}
    </div>
  );
}
