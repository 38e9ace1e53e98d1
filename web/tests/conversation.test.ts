import { describe, expect, it } from "vitest";
import { Problem } from "../src/api/problem";
import type { AskEvent, FinishedAnswer, Rating } from "../src/api/types";
import { createConversation, isAsking } from "../src/state/conversation";

const DONE: FinishedAnswer = {
  answer: "yes",
  mode: "quote",
  found: true,
  citations: [],
  timings_ms: {},
  chat_id: "chat-1",
  message_id: "m",
};

type Asked = { question: string; chatId: string | null };

function setUp(script: (signal: AbortSignal) => AsyncGenerator<AskEvent>) {
  const asked: Asked[] = [];
  const log: string[] = [];
  const rated: unknown[] = [];
  const conversation = createConversation(
    {
      ask: (question, signal) => {
        asked.push({ question: question.question, chatId: question.chatId });
        return script(signal);
      },
      chat: async () => {
        throw new Problem({ title: "Not found", status: 404 });
      },
      rate: async (...call): Promise<Rating> => {
        rated.push(call);
        return { ...call[2], note: call[2].note.toUpperCase() };
      },
      unrate: async (chatId, messageId) => {
        if (rated.length > 1) throw new Problem({ title: "Away" });
        rated.push([chatId, messageId]);
      },
    },
    {
      opened: (collection) => log.push(`opened ${collection}`),
      named: (chatId) => log.push(`named ${chatId}`),
      ended: () => log.push("ended"),
    },
  );
  return { conversation, asked, log, rated };
}

/** Streams one piece, then waits until it is stopped, as an aborted fetch does. */
async function* untilStopped(signal: AbortSignal): AsyncGenerator<AskEvent> {
  yield { type: "delta", text: "half" };
  await new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new DOMException("Stopped", "AbortError")));
  });
}

describe("a conversation", () => {
  it("names its chat once and asks the next question in it", async () => {
    const { conversation, asked, log } = setUp(async function* () {
      yield { type: "done", answer: DONE };
    });
    await conversation.ask("one", "default");
    await conversation.ask("two", "default");
    expect(asked).toEqual([
      { question: "one", chatId: null },
      { question: "two", chatId: "chat-1" },
    ]);
    expect(log).toEqual(["named chat-1", "ended", "ended"]);
  });

  it("keeps what was written when it is stopped", async () => {
    const { conversation, log } = setUp(untilStopped);
    const asking = conversation.ask("one", "default");
    while (conversation.store.get().exchanges[0]?.answer.text !== "half") await Promise.resolve();
    expect(isAsking(conversation.store.get())).toBe(true);
    conversation.stop();
    await asking;
    expect(conversation.store.get().exchanges[0]?.answer).toMatchObject({
      phase: "stopped",
      text: "half",
    });
    expect(log).toEqual(["ended"]);
  });

  it("shows nothing of an answer that ends after another chat was begun", async () => {
    const { conversation } = setUp(untilStopped);
    const asking = conversation.ask("one", "default");
    conversation.reset();
    await asking;
    expect(conversation.store.get()).toMatchObject({ chatId: null, exchanges: [] });
  });

  it("replaces a failed answer when it is asked again", async () => {
    let calls = 0;
    const { conversation } = setUp(async function* () {
      calls++;
      if (calls === 1) throw new Problem({ title: "Overloaded", status: 503 });
      yield { type: "done", answer: DONE };
    });
    await conversation.ask("one", "default");
    const failed = conversation.store.get().exchanges[0];
    expect(failed?.answer.problem?.title).toBe("Overloaded");
    if (failed) await conversation.retry(failed, "default");
    const { exchanges } = conversation.store.get();
    expect(exchanges.map((e) => [e.question, e.answer.phase])).toEqual([["one", "done"]]);
  });

  it("shows the rating that the server kept, and the last one if it could not be changed", async () => {
    const { conversation, rated } = setUp(async function* () {
      yield { type: "done", answer: DONE };
    });
    const shown = () => conversation.store.get().exchanges[0]?.answer.rating;
    await conversation.rate("m", { value: "up", note: "" });
    expect(rated).toEqual([]); // no chat is open
    await conversation.ask("one", "default");
    await conversation.rate("m", { value: "down", note: "why" });
    expect(shown()).toEqual({ value: "down", note: "WHY" });
    await conversation.rate("m", null);
    expect(shown()).toBeNull();
    await conversation.rate("m", { value: "up", note: "" });
    await expect(conversation.rate("m", null)).rejects.toThrow(Problem);
    expect(shown()).toEqual({ value: "up", note: "" });
    expect(rated).toEqual([
      ["chat-1", "m", { value: "down", note: "why" }],
      ["chat-1", "m"],
      ["chat-1", "m", { value: "up", note: "" }],
    ]);
  });

  it("says why a stored chat cannot be opened", async () => {
    const { conversation } = setUp(untilStopped);
    await conversation.open("gone");
    expect(conversation.store.get()).toMatchObject({
      chatId: "gone",
      loading: false,
      problem: { title: "Not found" },
    });
  });
});
