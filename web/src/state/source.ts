/** The open source: a window of one document's text around a cited span. */

import type { Client } from "../api/client";
import { asProblem, isAbort, type Problem } from "../api/problem";
import type { DocumentDetail } from "../api/types";
import { sliceCodePoints } from "../text/codepoints";
import { joinWindows, type LoadedText, snapToLines } from "../text/window";
import { createStore, type Store } from "./store";

/** Code points shown around a span at first, and added by each step. */
const MARGIN = 1500;
const STEP = 4000;

/** What to open: a document, and in it the span to mark (with the quote it must hold). */
export type SourceTarget = {
  documentId: string;
  title: string;
  uri: string;
  page: number | null;
  span: { start: number; end: number } | null;
  quote: string | null;
};

export type Direction = "above" | "below";

export type OpenSource = {
  target: SourceTarget;
  phase: "loading" | "ready" | "failed";
  problem: Problem | null;
  document: DocumentDetail | null;
  window: LoadedText | null;
  /** The stored text at the span is no longer the quote, so nothing is marked. */
  changed: boolean;
  growing: Direction | null;
  growProblem: Problem | null;
};

export type Source = {
  store: Store<OpenSource | null>;
  open: (target: SourceTarget) => Promise<void>;
  close: () => void;
  grow: (direction: Direction) => Promise<void>;
};

export function createSource(api: Pick<Client, "document" | "documentText">): Source {
  const store = createStore<OpenSource | null>(null);
  let request = new AbortController();

  const open = async (target: SourceTarget) => {
    request.abort();
    request = new AbortController();
    const { signal } = request;
    const opening: OpenSource = {
      target,
      phase: "loading",
      problem: null,
      document: null,
      window: null,
      changed: false,
      growing: null,
      growProblem: null,
    };
    store.set(opening);
    const span = target.span ?? { start: 0, end: 0 };
    const margin = target.span ? MARGIN : STEP;
    const range = { start: Math.max(0, span.start - margin), end: span.end + margin };
    try {
      const [document, window] = await Promise.all([
        api.document(target.documentId, signal),
        api.documentText(target.documentId, range, signal),
      ]);
      if (signal.aborted) return;
      const cited = sliceCodePoints(
        window.text,
        span.start - window.start,
        span.end - window.start,
      );
      store.set({
        ...opening,
        phase: "ready",
        document,
        window: snapToLines(window, span, window.length),
        changed: target.quote !== null && cited !== target.quote,
      });
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      store.set({ ...opening, phase: "failed", problem: asProblem(error) });
    }
  };

  const grow = async (direction: Direction) => {
    const source = store.get();
    if (!source?.window || !source.document || source.growing) return;
    const { signal } = request;
    const { start, end } = source.window;
    const { length } = source.document;
    const range =
      direction === "above"
        ? { start: Math.max(0, start - STEP), end: start }
        : { start: end, end: Math.min(length, end + STEP) };
    if (range.start >= range.end) return;
    store.set({ ...source, growing: direction, growProblem: null });
    try {
      const more = await api.documentText(source.target.documentId, range, signal);
      if (signal.aborted) return;
      // The side that touches the old window must not move; the other may.
      const touching = direction === "above" ? range.end : range.start;
      const snapped = snapToLines(more, { start: touching, end: touching }, length);
      const window =
        direction === "above"
          ? joinWindows(snapped, source.window)
          : joinWindows(source.window, snapped);
      store.set({ ...source, window, growing: null, growProblem: null });
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      store.set({ ...source, growing: null, growProblem: asProblem(error) });
    }
  };

  return {
    store,
    open,
    grow,
    close: () => {
      request.abort();
      store.set(null);
    },
  };
}
