import { describe, expect, it } from "vitest";
import { Problem } from "../src/api/problem";
import type { DocumentDetail } from "../src/api/types";
import { createSource, type SourceTarget } from "../src/state/source";
import { codePointLength, sliceCodePoints } from "../src/text/codepoints";

const TEXT = Array.from({ length: 800 }, (_, i) => `🙂 Line ${i} of the document.`).join("\n");
const LENGTH = codePointLength(TEXT);

const DOCUMENT: DocumentDetail = {
  id: "d",
  collection: "default",
  uri: "d.txt",
  title: "D",
  media_type: "text/plain",
  bytes: 0,
  chunks: 1,
  metadata: {},
  created_at: "",
  updated_at: "",
  length: LENGTH,
  spans: [],
};

function target(start: number, end: number, quote: string | null): SourceTarget {
  const span = { start, end };
  return { documentId: "d", title: "D", uri: "d.txt", page: null, span, quote };
}

function setUp() {
  return createSource({
    document: async () => DOCUMENT,
    documentText: async (id, { start, end }) => {
      const to = Math.min(end, LENGTH);
      const text = sliceCodePoints(TEXT, start, to);
      return { document_id: id, start, end: to, length: LENGTH, text };
    },
  });
}

describe("an open source", () => {
  it("loads only the surroundings and knows an exact quote", async () => {
    const source = setUp();
    await source.open(target(9000, 9020, sliceCodePoints(TEXT, 9000, 9020)));
    const open = source.store.get();
    expect(open).toMatchObject({ phase: "ready", changed: false });
    expect(open?.window?.start).toBeGreaterThan(7000);
    expect(open?.window?.end).toBeLessThan(11000);
  });

  it("sees when the stored text is no longer the quote", async () => {
    const source = setUp();
    await source.open(target(9000, 9020, "something else"));
    expect(source.store.get()?.changed).toBe(true);
  });

  it("grows to both ends without losing or repeating a character", async () => {
    const source = setUp();
    await source.open(target(9000, 9020, null));
    for (let step = 0; step < 20; step++) {
      await source.grow("above");
      await source.grow("below");
      const window = source.store.get()?.window;
      expect(window?.text).toBe(sliceCodePoints(TEXT, window?.start ?? 0, window?.end ?? 0));
    }
    expect(source.store.get()?.window).toMatchObject({ start: 0, end: LENGTH });
  });

  it("shows the last one opened when answers come late", async () => {
    let answerFirst = (_: DocumentDetail) => {};
    const first = new Promise<DocumentDetail>((resolve) => {
      answerFirst = resolve;
    });
    const documents = [first, Promise.resolve({ ...DOCUMENT, title: "Second" })];
    const source = createSource({
      document: () => documents.shift() ?? Promise.reject(new Error("Asked too often")),
      documentText: async (id) => ({ document_id: id, start: 0, end: 1, length: 1, text: "x" }),
    });
    const slow = source.open(target(0, 1, null));
    await source.open(target(0, 1, null));
    answerFirst(DOCUMENT);
    await slow;
    expect(source.store.get()?.document?.title).toBe("Second");
  });

  it("says why a document cannot be shown", async () => {
    const source = createSource({
      document: () => Promise.reject(new Problem({ title: "Gone", status: 404 })),
      documentText: () => Promise.reject(new Problem({ title: "Gone", status: 404 })),
    });
    await source.open(target(0, 1, "q"));
    expect(source.store.get()).toMatchObject({ phase: "failed", problem: { title: "Gone" } });
  });
});
