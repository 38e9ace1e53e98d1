/**
 * Unicode code points (the server's offsets) against UTF-16 code units (JavaScript's).
 *
 * What always holds: an offset outside the text is clamped, and no result ever lies inside a
 * surrogate pair. A lone surrogate counts as one code point, as in string iteration.
 */

export function codePointLength(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}

/**
 * UTF-16 indices for many code point offsets, in one walk over the text.
 *
 * @param offsets code point offsets in any order
 * @returns the indices, in the order of `offsets`
 */
export function utf16Indices(text: string, offsets: readonly number[]): number[] {
  const order = offsets.map((_, position) => position);
  order.sort((a, b) => (offsets[a] ?? 0) - (offsets[b] ?? 0));
  const indices = new Array<number>(offsets.length).fill(0);
  let index = 0;
  let point = 0;
  for (const position of order) {
    const target = offsets[position] ?? 0;
    while (point < target && index < text.length) {
      index += (text.codePointAt(index) ?? 0) > 0xffff ? 2 : 1;
      point++;
    }
    indices[position] = index;
  }
  return indices;
}

/** `text[start:end]` as Python slices it, for offsets of zero and more. */
export function sliceCodePoints(text: string, start: number, end: number): string {
  const [from = 0, to = 0] = utf16Indices(text, [start, Math.max(start, end)]);
  return text.slice(from, to);
}

/** The code point offset of a UTF-16 index. */
export function codePointOffset(text: string, index: number): number {
  return codePointLength(text.slice(0, index));
}
