import { describe, expect, it } from "vitest";
import type { Span } from "../src/api/types";
import { type MarkedWindow, markWindow, pageAt } from "../src/text/passage";

const TEXT = "🙂 Title\nBody é text.\n```code```\nEnd";
const SPANS: Span[] = [
  { kind: "page", start: 0, end: 20, level: 1 },
  { kind: "heading", start: 0, end: 7, level: 1 },
  { kind: "page", start: 21, end: 40, level: 2 },
  { kind: "code", start: 21, end: 31, level: 0 },
];

function join(part: MarkedWindow["before"]): string {
  return part.map((piece) => piece.text).join("");
}

describe("markWindow", () => {
  it("marks exactly the code points asked for, wherever they lie", () => {
    const points = Array.from(TEXT);
    for (let start = 0; start < points.length; start++) {
      for (let end = start + 1; end <= points.length; end++) {
        const window = markWindow({ start: 0, text: TEXT }, SPANS, { start, end });
        expect(join(window.marked)).toBe(points.slice(start, end).join(""));
        expect(join(window.before) + join(window.marked) + join(window.after)).toBe(TEXT);
      }
    }
  });

  it("counts offsets from the document's beginning, not the window's", () => {
    const text = Array.from(TEXT).slice(8, 24).join("");
    const window = markWindow({ start: 8, text }, SPANS, { start: 13, end: 14 });
    expect(join(window.marked)).toBe("é");
  });

  it("styles headings and code and tells where pages begin", () => {
    const { before } = markWindow({ start: 0, text: TEXT }, SPANS, null);
    expect(before.map((piece) => [piece.style, piece.page])).toEqual([
      ["heading", 1],
      ["plain", null],
      ["code", 2],
      ["plain", null],
    ]);
  });

  it("marks nothing when the span lies outside the window", () => {
    expect(markWindow({ start: 0, text: "abc" }, [], { start: 5, end: 9 }).marked).toEqual([]);
  });
});

describe("pageAt", () => {
  it("knows the page of an offset and the gap between pages", () => {
    expect([0, 19, 20, 21].map((offset) => pageAt(SPANS, offset))).toEqual([1, 1, null, 2]);
  });
});
