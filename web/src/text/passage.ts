/**
 * A window of a document cut for display: before, the cited span, after, each in styled pieces.
 *
 * Offsets are code points of the whole document. The pieces of the three parts, joined, are the
 * window's text: nothing is added, dropped or changed.
 */

import type { Span } from "../api/types";
import { codePointLength, utf16Indices } from "./codepoints";

export type PieceStyle = "heading" | "code" | "table" | "plain";

export type TextPiece = {
  start: number;
  text: string;
  style: PieceStyle;
  /** The page that begins with this piece. */
  page: number | null;
};

export type Range = { start: number; end: number };

export type MarkedWindow = { before: TextPiece[]; marked: TextPiece[]; after: TextPiece[] };

export function markWindow(
  window: { start: number; text: string },
  spans: readonly Span[],
  mark: Range | null,
): MarkedWindow {
  const end = window.start + codePointLength(window.text);
  const visible = spans.filter((span) => span.start < end && span.end > window.start);
  const cuts = new Set([window.start, end]);
  for (const span of visible) {
    if (styleOf(span) !== "plain") cuts.add(span.start).add(span.end);
    if (span.kind === "page") cuts.add(span.start);
  }
  if (mark) cuts.add(mark.start).add(mark.end);
  const offsets = [...cuts]
    .filter((offset) => offset >= window.start && offset <= end)
    .sort((a, b) => a - b);
  const indices = utf16Indices(
    window.text,
    offsets.map((offset) => offset - window.start),
  );

  const styled = visible.filter((span) => styleOf(span) !== "plain");
  const pages = new Map(
    visible.filter((span) => span.kind === "page").map((span) => [span.start, span.level]),
  );
  const result: MarkedWindow = { before: [], marked: [], after: [] };
  for (let i = 0; i + 1 < offsets.length; i++) {
    const from = offsets[i] ?? 0;
    const to = offsets[i + 1] ?? end;
    const covering = styled.find((span) => span.start <= from && span.end >= to);
    const piece: TextPiece = {
      start: from,
      text: window.text.slice(indices[i], indices[i + 1]),
      style: covering ? styleOf(covering) : "plain",
      page: pages.get(from) ?? null,
    };
    partFor(result, from, mark).push(piece);
  }
  return result;
}

function partFor(window: MarkedWindow, offset: number, mark: Range | null): TextPiece[] {
  if (!mark || offset < mark.start) return window.before;
  return offset < mark.end ? window.marked : window.after;
}

function styleOf(span: Span): PieceStyle {
  switch (span.kind) {
    case "heading":
    case "code":
    case "table":
      return span.kind;
    default:
      return "plain";
  }
}

/** The page whose span holds the offset. */
export function pageAt(spans: readonly Span[], offset: number): number | null {
  const page = spans.find(
    (span) => span.kind === "page" && span.start <= offset && offset < span.end,
  );
  return page?.level ?? null;
}
