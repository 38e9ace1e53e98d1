import { describe, expect, it } from "vitest";
import { Problem } from "../src/api/problem";
import type { AskEvent, Citation, FinishedAnswer, Turn } from "../src/api/types";
import { changeExchanges, type Exchange, exchangesFromTurns } from "../src/state/exchange";

const CITATION: Citation = {
  document_id: "d",
  uri: "a.md",
  title: "A",
  start: 0,
  end: 3,
  page: null,
  quote: "abc",
  answer_start: 0,
  answer_end: 3,
};

const FINISHED: FinishedAnswer = {
  answer: "abc",
  mode: "quote",
  found: true,
  citations: [CITATION],
  timings_ms: { total: 12 },
  chat_id: "c",
  message_id: "m",
};

function asked(): Exchange[] {
  return changeExchanges([], { type: "asked", key: "k", question: "Why?" });
}

function streamed(events: AskEvent[]): Exchange[] {
  return events.reduce(
    (exchanges, event) => changeExchanges(exchanges, { type: "event", key: "k", event }),
    asked(),
  );
}

describe("changeExchanges", () => {
  it("gathers the streamed answer", () => {
    const [exchange] = streamed([
      { type: "status", stage: "writing" },
      { type: "delta", text: "a" },
      { type: "delta", text: "b" },
      { type: "citation", citation: CITATION },
    ]);
    expect(exchange?.answer).toMatchObject({
      phase: "asking",
      stage: "writing",
      text: "ab",
      citations: [CITATION],
    });
  });

  it("lets the final answer replace what was streamed", () => {
    const [exchange] = streamed([
      { type: "delta", text: "draft" },
      { type: "citation", citation: CITATION },
      { type: "done", answer: FINISHED },
    ]);
    expect(exchange?.answer).toMatchObject({
      phase: "done",
      stage: null,
      text: "abc",
      citations: [CITATION],
      found: true,
      milliseconds: 12,
    });
  });

  it("ignores what comes after the end, whatever the end was", () => {
    const done = streamed([{ type: "done", answer: FINISHED }]);
    const stopped = changeExchanges(asked(), { type: "stopped", key: "k" });
    const problem = new Problem({ title: "No" });
    const failed = changeExchanges(asked(), { type: "failed", key: "k", problem });
    for (const ended of [done, stopped, failed]) {
      const event: AskEvent = { type: "delta", text: "late" };
      expect(changeExchanges(ended, { type: "event", key: "k", event })).toEqual(ended);
      expect(changeExchanges(ended, { type: "stopped", key: "k" })).toEqual(ended);
    }
  });

  it("keeps the text of a stopped and of a failed answer", () => {
    const writing = streamed([{ type: "delta", text: "half" }]);
    const problem = new Problem({ title: "No" });
    const stopped = changeExchanges(writing, { type: "stopped", key: "k" });
    const failed = changeExchanges(writing, { type: "failed", key: "k", problem });
    expect(stopped[0]?.answer).toMatchObject({ phase: "stopped", text: "half" });
    expect(failed[0]?.answer).toMatchObject({ phase: "failed", text: "half", problem });
  });

  it("drops only the named exchange and leaves the others untouched", () => {
    const two = changeExchanges(asked(), { type: "asked", key: "l", question: "And?" });
    expect(changeExchanges(two, { type: "dropped", key: "k" })).toEqual([two[1]]);
    const event: AskEvent = { type: "delta", text: "x" };
    expect(changeExchanges(two, { type: "event", key: "l", event })[0]).toBe(two[0]);
  });
});

describe("ratings", () => {
  it("are of one stored answer", () => {
    const [first] = streamed([{ type: "done", answer: FINISHED }]);
    const two = [first, { ...first, key: "l", answer: { ...first?.answer, messageId: "n" } }];
    const rating = { value: "down", note: "short" } as const;
    const change = { type: "rated", messageId: "n", rating } as const;
    const rated = changeExchanges(two as Exchange[], change);
    expect(rated[0]).toBe(first);
    expect(rated[1]?.answer).toMatchObject({ phase: "done", text: "abc", rating });
    const back = changeExchanges(rated, { ...change, rating: null });
    expect(back[1]?.answer.rating).toBeNull();
  });
});

describe("exchangesFromTurns", () => {
  const turn = (part: Partial<Turn>): Turn => ({
    id: "t",
    role: "user",
    text: "",
    mode: null,
    found: null,
    citations: [],
    created_at: "2026-01-01T00:00:00Z",
    rating: null,
    ...part,
  });

  it("keeps the ratings of stored answers", () => {
    const rating = { value: "up", note: "" } as const;
    const [exchange] = exchangesFromTurns([
      turn({ id: "1", text: "first" }),
      turn({ id: "2", role: "assistant", text: "answer", rating }),
    ]);
    expect(exchange?.answer).toMatchObject({ messageId: "2", rating });
  });

  it("pairs questions with answers and marks questions without one", () => {
    const exchanges = exchangesFromTurns([
      turn({ id: "1", text: "first" }),
      turn({ id: "2", text: "second" }),
      turn({ id: "3", role: "assistant", text: "answer", found: true, mode: "quote" }),
      turn({ id: "4", role: "assistant", text: "alone" }),
    ]);
    expect(exchanges.map((e) => [e.key, e.question, e.answer.phase, e.answer.text])).toEqual([
      ["1", "first", "missing", ""],
      ["2", "second", "done", "answer"],
      ["4", "", "done", "alone"],
    ]);
  });
});
