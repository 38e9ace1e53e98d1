import { memo } from "react";
import type { Exchange } from "../../state/exchange";
import { AnswerView } from "./AnswerView";

type Props = { exchange: Exchange; onRetry: () => void };

/** One question with its answer. Drawn again only when the exchange itself changes. */
export const ExchangeView = memo(
  function ExchangeView({ exchange, onRetry }: Props) {
    return (
      <article className="exchange" aria-busy={exchange.answer.phase === "asking"}>
        {exchange.question && <h2 className="question">{exchange.question}</h2>}
        <AnswerView answer={exchange.answer} onRetry={onRetry} />
      </article>
    );
  },
  (before, after) => before.exchange === after.exchange,
);
