import { describe, expect, it } from "vitest";
import {
  codePointLength,
  codePointOffset,
  sliceCodePoints,
  utf16Indices,
} from "../src/text/codepoints";

const SAMPLES = {
  ascii: "plain text\nsecond line",
  emoji: "a🙂b👩‍👩‍👧c🇨🇭d",
  cjk: "会議は金曜日です。𠮷野家",
  combining: "e\u0301a\u0308 \u0915\u094D\u0937",
  lone: "x\uD83Dy\uDE42z",
  empty: "",
};

/** The plain way: one array element per code point. */
const points = (text: string) => Array.from(text);

describe.each(Object.entries(SAMPLES))("%s text", (_, text) => {
  const length = points(text).length;

  it("has as many code points as string iteration gives", () => {
    expect(codePointLength(text)).toBe(length);
  });

  it("is sliced as an array of code points is", () => {
    for (let start = 0; start <= length; start++) {
      for (let end = start; end <= length + 1; end++) {
        expect(sliceCodePoints(text, start, end)).toBe(points(text).slice(start, end).join(""));
      }
    }
  });

  it("maps every offset to an index and back", () => {
    const offsets = Array.from({ length: length + 1 }, (_, offset) => offset);
    const indices = utf16Indices(text, offsets);
    expect(indices.map((index) => codePointOffset(text, index))).toEqual(offsets);
  });
});

describe("utf16Indices", () => {
  it("keeps the order of the offsets, repeated and unsorted ones too", () => {
    expect(utf16Indices("🙂🙂🙂", [3, 0, 2, 2, 1])).toEqual([6, 0, 4, 4, 2]);
  });

  it("clamps offsets outside the text", () => {
    expect(utf16Indices("a🙂", [-5, 99])).toEqual([0, 3]);
  });

  it("gives an empty slice when the end lies before the start", () => {
    expect(sliceCodePoints("abc", 2, 1)).toBe("");
  });
});
