import { useRef } from "react";
import { useStickToEnd } from "../../hooks/useStickToEnd";
import { useApp } from "../../state/context";
import type { Exchange } from "../../state/exchange";
import { ExchangeView } from "./ExchangeView";

type Props = { exchanges: Exchange[]; collection: string };

export function Transcript({ exchanges, collection }: Props) {
  const app = useApp();
  const scroller = useRef<HTMLDivElement>(null);
  useStickToEnd(scroller, exchanges, exchanges.at(-1)?.key);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scroller must be reachable by keyboard.
    <section className="transcript" ref={scroller} tabIndex={0} aria-label="Conversation">
      <div className="transcript-inner">
        {exchanges.map((exchange) => (
          <ExchangeView
            key={exchange.key}
            exchange={exchange}
            onRetry={() => void app.conversation.retry(exchange, collection)}
          />
        ))}
      </div>
    </section>
  );
}
