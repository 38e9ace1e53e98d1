/**
 * Server-sent events out of a byte stream (WHATWG HTML, 9.2.6 "Interpreting an event stream").
 *
 * EventSource cannot POST, so the page reads the stream itself. A block without data dispatches
 * nothing, and neither does a block the stream's end cuts off.
 */

export type ServerEvent = { event: string; data: string };

export class SseParser {
  #buffer = "";
  #event = "";
  #data: string[] = [];
  #started = false;

  /** Takes the next piece of text, cut anywhere, and returns the events it completes. */
  push(piece: string): ServerEvent[] {
    this.#buffer += piece;
    if (!this.#started && this.#buffer.length > 0) {
      this.#started = true;
      if (this.#buffer.startsWith("\uFEFF")) this.#buffer = this.#buffer.slice(1);
    }
    const events: ServerEvent[] = [];
    let from = 0;
    for (;;) {
      const end = lineEnd(this.#buffer, from);
      if (end === null) break;
      const event = this.#line(this.#buffer.slice(from, end.at));
      if (event) events.push(event);
      from = end.next;
    }
    this.#buffer = this.#buffer.slice(from);
    return events;
  }

  #line(line: string): ServerEvent | null {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return null;
    const field = colon < 0 ? line : line.slice(0, colon);
    const rest = colon < 0 ? "" : line.slice(colon + 1);
    const value = rest.startsWith(" ") ? rest.slice(1) : rest;
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    return null;
  }

  #dispatch(): ServerEvent | null {
    const event =
      this.#data.length > 0
        ? { event: this.#event || "message", data: this.#data.join("\n") }
        : null;
    this.#event = "";
    this.#data = [];
    return event;
  }
}

/** The next line break. A final CR may be half of a CRLF, so it waits for the next piece. */
function lineEnd(text: string, from: number): { at: number; next: number } | null {
  for (let at = from; at < text.length; at++) {
    const unit = text[at];
    if (unit === "\n") return { at, next: at + 1 };
    if (unit === "\r") {
      if (at + 1 === text.length) return null;
      return { at, next: text[at + 1] === "\n" ? at + 2 : at + 1 };
    }
  }
  return null;
}

/** Reads a response body as events. Stopping the iteration cancels the request. */
export async function* readEvents(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<ServerEvent> {
  const parser = new SseParser();
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    // Cancelling a stream that already failed or was aborted rejects; there is nothing left to do.
    await reader.cancel().catch(() => undefined);
  }
}
