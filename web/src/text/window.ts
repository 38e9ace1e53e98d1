/** Growing a window of a document's text. Offsets are code points of the whole document. */

import { codePointLength } from "./codepoints";

export type LoadedText = { start: number; end: number; text: string };

/** How far a cut may move to fall on a line break. */
const REACH = 400;

/**
 * Moves the window's cuts to line breaks nearby, so that it does not begin in mid-sentence.
 *
 * @param keep the span that must stay inside
 * @param length the document's length
 */
export function snapToLines(
  window: LoadedText,
  keep: { start: number; end: number },
  length: number,
): LoadedText {
  let { start, end, text } = window;
  if (start > 0) {
    const cut = text.indexOf("\n") + 1;
    const dropped = codePointLength(text.slice(0, cut));
    if (cut > 0 && dropped <= REACH && start + dropped <= keep.start) {
      text = text.slice(cut);
      start += dropped;
    }
  }
  if (end < length) {
    const cut = text.lastIndexOf("\n");
    const dropped = cut < 0 ? 0 : codePointLength(text.slice(cut));
    if (dropped > 0 && dropped <= REACH && end - dropped >= keep.end) {
      text = text.slice(0, cut);
      end -= dropped;
    }
  }
  return { start, end, text };
}

/** Two windows that touch, as one. */
export function joinWindows(upper: LoadedText, lower: LoadedText): LoadedText {
  if (upper.end !== lower.start) throw new RangeError("The windows do not touch");
  return { start: upper.start, end: lower.end, text: upper.text + lower.text };
}
