/**
 * An answer cut at its citations, so that each marker stands where its claim ends.
 *
 * Citations of the same span of the same document share one number; numbers follow first use.
 */

import type { Citation } from "../api/types";
import { codePointLength, codePointOffset, utf16Indices } from "./codepoints";

export type NumberedSource = { number: number; citation: Citation };

export type AnswerPiece = {
  text: string;
  /** Numbers of the sources that this piece of the answer rests on. */
  citedBy: number[];
  /** Sources whose claim ends with this piece: their markers follow it. */
  markers: NumberedSource[];
};

export type CitedAnswer = { pieces: AnswerPiece[]; sources: NumberedSource[] };

type Placed = { start: number; end: number; source: NumberedSource };

export function citeAnswer(answer: string, citations: readonly Citation[]): CitedAnswer {
  const sources = numberSources(citations);
  const placed = citations.map((citation) => place(answer, citation, sources));
  const total = codePointLength(answer);
  const cuts = new Set([0, total]);
  for (const { start, end } of placed) cuts.add(start).add(end);
  const offsets = [...cuts].sort((a, b) => a - b);
  const indices = utf16Indices(answer, offsets);

  const pieces: AnswerPiece[] = [];
  for (let i = 0; i + 1 < offsets.length; i++) {
    const from = offsets[i] ?? 0;
    const to = offsets[i + 1] ?? total;
    pieces.push({
      text: answer.slice(indices[i], indices[i + 1]),
      citedBy: unique(
        placed.filter((p) => p.start <= from && p.end >= to).map((p) => p.source),
      ).map((source) => source.number),
      markers: unique(placed.filter((p) => p.end === to).map((p) => p.source)),
    });
  }
  return { pieces, sources };
}

function numberSources(citations: readonly Citation[]): NumberedSource[] {
  const byKey = new Map<string, NumberedSource>();
  for (const citation of citations) {
    const key = sourceKey(citation);
    if (!byKey.has(key)) byKey.set(key, { number: byKey.size + 1, citation });
  }
  return [...byKey.values()];
}

export function sourceKey(span: { document_id: string; start: number; end: number }): string {
  return `${span.document_id}:${span.start}:${span.end}`;
}

/** Where the citation stands in the answer; without offsets, where its quote is, else the end. */
function place(answer: string, citation: Citation, sources: NumberedSource[]): Placed {
  const key = sourceKey(citation);
  const source = sources.find((candidate) => sourceKey(candidate.citation) === key);
  if (!source) throw new Error("A citation has no number");
  const total = codePointLength(answer);
  if (typeof citation.answer_start === "number" && typeof citation.answer_end === "number") {
    const start = Math.min(citation.answer_start, total);
    return { start, end: Math.max(start, Math.min(citation.answer_end, total)), source };
  }
  const index = citation.quote ? answer.indexOf(citation.quote) : -1;
  if (index < 0) return { start: total, end: total, source };
  const start = codePointOffset(answer, index);
  return { start, end: start + codePointLength(citation.quote), source };
}

function unique(sources: NumberedSource[]): NumberedSource[] {
  return [...new Set(sources)].sort((a, b) => a.number - b.number);
}
