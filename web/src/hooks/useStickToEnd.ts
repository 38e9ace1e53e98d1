import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";

/** Counts as being at the end: a finger's width. */
const NEAR = 80;

/**
 * Keeps a scroller at its end while its content grows, unless the reader has scrolled away.
 *
 * @param content anything that changes when the content does
 * @param anchor when it changes, the scroller goes to the end in any case
 */
export function useStickToEnd(
  scroller: RefObject<HTMLElement | null>,
  content: unknown,
  anchor: unknown,
): void {
  const atEnd = useRef(true);
  const seen = useRef<unknown>(undefined);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const onScroll = () => {
      atEnd.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
    };
    element.addEventListener("scroll", onScroll, { passive: true });
    return () => element.removeEventListener("scroll", onScroll);
  }, [scroller]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `content` is the signal to measure again.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    if (seen.current !== anchor) {
      seen.current = anchor;
      atEnd.current = true;
    }
    if (atEnd.current) element.scrollTop = element.scrollHeight;
  }, [scroller, content, anchor]);
}
