import { describe, expect, it } from "vitest";
import type { Citation } from "../src/api/types";
import { citeAnswer } from "../src/text/answer";

function citation(part: Partial<Citation>): Citation {
  return {
    document_id: "d1",
    uri: "a.md",
    title: "A",
    start: 0,
    end: 5,
    page: null,
    quote: "",
    ...part,
  };
}

describe("citeAnswer", () => {
  it("puts markers after their claims, counted in code points", () => {
    const { pieces } = citeAnswer("🙂 One. 🙂 Two.", [
      citation({ start: 10, answer_start: 0, answer_end: 6 }),
      citation({ start: 20, answer_start: 7, answer_end: 13 }),
    ]);
    expect(pieces.map((p) => [p.text, p.markers.map((m) => m.number)])).toEqual([
      ["🙂 One.", [1]],
      [" ", []],
      ["🙂 Two.", [2]],
    ]);
  });

  it("gives one number to one span, however often it is cited", () => {
    const { sources, pieces } = citeAnswer("One. Two.", [
      citation({ answer_start: 0, answer_end: 4 }),
      citation({ answer_start: 5, answer_end: 9 }),
    ]);
    expect(sources.map((source) => source.number)).toEqual([1]);
    expect(pieces.map((p) => p.markers.map((m) => m.number))).toEqual([[1], [], [1]]);
  });

  it("sets several markers where claims end together, and knows overlapping claims", () => {
    const { pieces } = citeAnswer("One two.", [
      citation({ start: 1, answer_start: 0, answer_end: 8 }),
      citation({ start: 2, answer_start: 4, answer_end: 8 }),
    ]);
    expect(pieces.map((p) => [p.text, p.citedBy, p.markers.map((m) => m.number)])).toEqual([
      ["One ", [1], []],
      ["two.", [1, 2], [1, 2]],
    ]);
  });

  it("finds the quote when the answer's offsets are missing, else stands at the end", () => {
    const { pieces } = citeAnswer("🙂 One. Two.", [
      citation({ start: 1, quote: "One." }),
      citation({ start: 2, quote: "not in it" }),
    ]);
    expect(pieces.map((p) => [p.text, p.markers.map((m) => m.number)])).toEqual([
      ["🙂 ", []],
      ["One.", [1]],
      [" Two.", [2]],
    ]);
  });

  it("loses no character and survives offsets beyond the streamed text", () => {
    const { pieces } = citeAnswer("Only this", [citation({ answer_start: 4, answer_end: 99 })]);
    expect(pieces.map((p) => p.text).join("")).toBe("Only this");
    expect(pieces.at(-1)?.markers).toHaveLength(1);
  });

  it("keeps a citation of an empty answer in the sources", () => {
    expect(citeAnswer("", [citation({})]).sources).toHaveLength(1);
  });
});
