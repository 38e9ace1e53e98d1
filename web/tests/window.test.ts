import { describe, expect, it } from "vitest";
import { sliceCodePoints } from "../src/text/codepoints";
import { joinWindows, snapToLines } from "../src/text/window";

const DOCUMENT = "zero 🙂\none 🙂\ntwo\nthree 🙂\nfour";
const LENGTH = Array.from(DOCUMENT).length;

function load(start: number, end: number) {
  return { start, end, text: sliceCodePoints(DOCUMENT, start, end) };
}

describe("snapToLines", () => {
  it("stays a slice of the document and keeps the span, for every window and span", () => {
    for (let start = 0; start < LENGTH; start++) {
      for (let end = start + 1; end <= LENGTH; end++) {
        for (let at = start; at < end; at++) {
          const keep = { start: at, end: at + 1 };
          const window = snapToLines(load(start, end), keep, LENGTH);
          expect(window.text).toBe(sliceCodePoints(DOCUMENT, window.start, window.end));
          expect(window.start).toBeLessThanOrEqual(keep.start);
          expect(window.end).toBeGreaterThanOrEqual(keep.end);
        }
      }
    }
  });

  it("cuts at line breaks", () => {
    const { text } = snapToLines(load(2, 22), { start: 14, end: 15 }, LENGTH);
    expect(text).toBe("one 🙂\ntwo");
  });

  it("leaves the document's own beginning and end alone", () => {
    expect(snapToLines(load(0, LENGTH), { start: 9, end: 10 }, LENGTH).text).toBe(DOCUMENT);
  });
});

describe("joinWindows", () => {
  it("joins windows that touch and refuses others", () => {
    expect(joinWindows(load(0, 9), load(9, 20))).toEqual(load(0, 20));
    expect(() => joinWindows(load(0, 9), load(10, 20))).toThrow(RangeError);
  });
});
