/** One question as a stream of events that ends with exactly one `done`, or throws a Problem. */

import { readJson, send } from "./http";
import { isAbort, Problem, type ProblemBody, unreachable } from "./problem";
import { readEvents, type ServerEvent } from "./sse";
import type { AskEvent, Citation, FinishedAnswer, Passage, Stage } from "./types";

export type Question = { question: string; collection: string; chatId: string | null };

export async function* ask(question: Question, signal: AbortSignal): AsyncGenerator<AskEvent> {
  const response = await send("/api/ask", {
    method: "POST",
    headers: { Accept: "text/event-stream", "Content-Type": "application/json" },
    body: JSON.stringify({
      question: question.question,
      collection: question.collection,
      ...(question.chatId ? { chat_id: question.chatId } : {}),
    }),
    signal,
  });
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream") || !response.body) {
    yield { type: "done", answer: await readJson<FinishedAnswer>(response) };
    return;
  }
  try {
    for await (const raw of readEvents(response.body)) {
      const event = decode(raw);
      if (!event) continue;
      yield event;
      if (event.type === "done") return;
    }
  } catch (error) {
    if (isAbort(error) || error instanceof Problem) throw error;
    if (signal.aborted) throw new DOMException("Stopped", "AbortError");
    throw unreachable();
  }
  throw new Problem({
    title: "The answer was cut off",
    detail: "The connection closed before the answer was complete.",
    hint: "Ask again.",
  });
}

/** Unknown event names are skipped, so that a newer server can send more. */
function decode(raw: ServerEvent): AskEvent | null {
  switch (raw.event) {
    case "status":
      return { type: "status", stage: parse<{ stage: Stage }>(raw).stage };
    case "passages":
      return { type: "passages", passages: parse<{ passages: Passage[] }>(raw).passages };
    case "delta":
      return { type: "delta", text: parse<{ text: string }>(raw).text };
    case "citation":
      return { type: "citation", citation: parse<Citation>(raw) };
    case "done":
      return { type: "done", answer: parse<FinishedAnswer>(raw) };
    case "error":
      throw new Problem(parse<ProblemBody>(raw));
    default:
      return null;
  }
}

function parse<T>(raw: ServerEvent): T {
  try {
    return JSON.parse(raw.data) as T;
  } catch {
    throw new Problem({
      title: "The server's answer cannot be read",
      detail: `The event "${raw.event}" is not JSON.`,
    });
  }
}
