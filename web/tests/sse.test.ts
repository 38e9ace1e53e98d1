import { describe, expect, it } from "vitest";
import { readEvents, type ServerEvent, SseParser } from "../src/api/sse";

const STREAM = [
  ": a comment\n",
  'event: status\ndata: {"stage":"searching"}\n\n',
  'event: delta\r\ndata: {"text":"a🙂é"}\r\n\r\n',
  "data:first\rdata: second\r\r",
  "id: 7\nretry: 10\nevent: empty\n\n",
  "event: done\ndata\n\n",
].join("");

const EVENTS: ServerEvent[] = [
  { event: "status", data: '{"stage":"searching"}' },
  { event: "delta", data: '{"text":"a🙂é"}' },
  { event: "message", data: "first\nsecond" },
  { event: "done", data: "" },
];

function inPieces(text: string, size: number): ServerEvent[] {
  const parser = new SseParser();
  const events: ServerEvent[] = [];
  for (let at = 0; at < text.length; at += size) {
    events.push(...parser.push(text.slice(at, at + size)));
  }
  return events;
}

describe("SseParser", () => {
  it("reads the same events however the stream is cut", () => {
    for (let size = 1; size <= STREAM.length; size++) {
      expect(inPieces(STREAM, size)).toEqual(EVENTS);
    }
  });

  it("drops a byte order mark at the beginning only", () => {
    expect(inPieces("\uFEFFdata: \uFEFFa\n\n", 1)).toEqual([{ event: "message", data: "\uFEFFa" }]);
  });

  it("dispatches nothing for a block that the end cuts off", () => {
    expect(inPieces("data: whole\n\ndata: half\n", 3)).toEqual([
      { event: "message", data: "whole" },
    ]);
  });

  it("takes one space from the value, not more", () => {
    expect(inPieces("data:  two\n\n", 99)).toEqual([{ event: "message", data: " two" }]);
  });
});

describe("readEvents", () => {
  const bytes = new TextEncoder().encode(STREAM);

  it("decodes characters that are cut between chunks", async () => {
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    const events: ServerEvent[] = [];
    for await (const event of readEvents(body)) events.push(event);
    expect(events).toEqual(EVENTS);
  });

  it("cancels the body when the reader stops early", async () => {
    let cancelled = false;
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => controller.enqueue(bytes),
      cancel: () => {
        cancelled = true;
      },
    });
    for await (const _ of readEvents(body)) break;
    expect(cancelled).toBe(true);
  });
});
