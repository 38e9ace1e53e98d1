/**
 * A conversation as pairs of question and answer, and how each event changes it. Pure functions.
 *
 * What always holds: an answer in phase "asking" is the last one; `done` replaces the streamed text
 * and citations by the server's final ones.
 */

import type { Problem } from "../api/problem";
import type { AnswerMode, AskEvent, Citation, Passage, Rating, Stage, Turn } from "../api/types";

export type Answer = {
  /** "missing": a stored question that was never answered. */
  phase: "asking" | "done" | "stopped" | "failed" | "missing";
  stage: Stage | null;
  text: string;
  citations: Citation[];
  /** Known for answers of this visit only: the server does not store what it read. */
  passages: Passage[] | null;
  found: boolean | null;
  mode: AnswerMode | null;
  milliseconds: number | null;
  problem: Problem | null;
  /** Of the stored answer. */
  messageId: string | null;
  rating: Rating | null;
};

export type Exchange = { key: string; question: string; answer: Answer };

export type Change =
  | { type: "asked"; key: string; question: string }
  | { type: "event"; key: string; event: AskEvent }
  | { type: "stopped"; key: string }
  | { type: "failed"; key: string; problem: Problem }
  | { type: "dropped"; key: string }
  | { type: "rated"; messageId: string; rating: Rating | null };

const BLANK: Answer = {
  phase: "asking",
  stage: null,
  text: "",
  citations: [],
  passages: null,
  found: null,
  mode: null,
  milliseconds: null,
  problem: null,
  messageId: null,
  rating: null,
};

export function changeExchanges(exchanges: Exchange[], change: Change): Exchange[] {
  switch (change.type) {
    case "asked":
      return [...exchanges, { key: change.key, question: change.question, answer: BLANK }];
    case "dropped":
      return exchanges.filter((exchange) => exchange.key !== change.key);
    case "rated":
      return exchanges.map((exchange) =>
        exchange.answer.messageId === change.messageId
          ? { ...exchange, answer: { ...exchange.answer, rating: change.rating } }
          : exchange,
      );
    case "event":
      return onAnswer(exchanges, change.key, (answer) => applyEvent(answer, change.event));
    case "stopped":
      return onAnswer(exchanges, change.key, (answer) => ({
        ...answer,
        phase: "stopped",
        stage: null,
      }));
    case "failed":
      return onAnswer(exchanges, change.key, (answer) => ({
        ...answer,
        phase: "failed",
        stage: null,
        problem: change.problem,
      }));
  }
}

/** Events that come after the answer has ended are ignored. */
function onAnswer(
  exchanges: Exchange[],
  key: string,
  next: (answer: Answer) => Answer,
): Exchange[] {
  return exchanges.map((exchange) =>
    exchange.key === key && exchange.answer.phase === "asking"
      ? { ...exchange, answer: next(exchange.answer) }
      : exchange,
  );
}

function applyEvent(answer: Answer, event: AskEvent): Answer {
  switch (event.type) {
    case "status":
      return { ...answer, stage: event.stage };
    case "passages":
      return { ...answer, passages: event.passages };
    case "delta":
      return { ...answer, text: answer.text + event.text };
    case "citation":
      return { ...answer, citations: [...answer.citations, event.citation] };
    case "done":
      return {
        ...answer,
        phase: "done",
        stage: null,
        text: event.answer.answer,
        citations: event.answer.citations,
        found: event.answer.found,
        mode: event.answer.mode,
        milliseconds: totalTime(event.answer.timings_ms),
        messageId: event.answer.message_id,
      };
  }
}

function totalTime(timings: Record<string, number> | undefined): number | null {
  return timings?.total ?? null;
}

/** Stored turns as exchanges; an answer without a question before it stands alone. */
export function exchangesFromTurns(turns: readonly Turn[]): Exchange[] {
  const exchanges: Exchange[] = [];
  for (const turn of turns) {
    if (turn.role === "user") {
      const answer: Answer = { ...BLANK, phase: "missing" };
      exchanges.push({ key: turn.id, question: turn.text, answer });
      continue;
    }
    const answer: Answer = {
      ...BLANK,
      phase: "done",
      text: turn.text,
      citations: turn.citations ?? [],
      found: turn.found,
      mode: turn.mode,
      messageId: turn.id,
      rating: turn.rating,
    };
    const last = exchanges.at(-1);
    if (last?.answer.phase === "missing") exchanges[exchanges.length - 1] = { ...last, answer };
    else exchanges.push({ key: turn.id, question: "", answer });
  }
  return exchanges;
}
