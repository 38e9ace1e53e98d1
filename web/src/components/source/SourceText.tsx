import { useLayoutEffect, useMemo, useRef } from "react";
import type { Direction, OpenSource } from "../../state/source";
import { markWindow } from "../../text/passage";
import { ProblemNotice } from "../shared/ProblemNotice";
import { GrowButton } from "./GrowButton";
import { TextPieces } from "./TextPieces";

type Props = { source: OpenSource; onGrow: (direction: Direction) => Promise<void> };

/** The loaded part of the document, scrolled to the cited span, growing at both ends. */
export function SourceText({ source, onGrow }: Props) {
  const { target, window, document, changed, growing, growProblem } = source;
  const scroller = useRef<HTMLElement>(null);
  const mark = useRef<HTMLElement>(null);
  const measured = useRef({ start: 0, height: 0 });

  const pieces = useMemo(
    () => window && document && markWindow(window, document.spans, changed ? null : target.span),
    [window, document, changed, target.span],
  );

  // biome-ignore lint/correctness/useExhaustiveDependencies: each opened target is scrolled to once.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const above = (element.clientHeight - (mark.current?.offsetHeight ?? 0)) / 3;
    element.scrollTop = mark.current ? mark.current.offsetTop - Math.max(24, above) : 0;
  }, [target, document]);

  // Text that comes in above must not push away what is being read.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || !window) return;
    const before = measured.current;
    const grown = element.scrollHeight - before.height;
    if (before.height > 0 && window.start < before.start) element.scrollTop += grown;
    measured.current = { start: window.start, height: element.scrollHeight };
  }, [window]);

  if (!pieces || !window || !document) return null;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scroller must be reachable by keyboard.
    <section className="source-text" ref={scroller} tabIndex={0} aria-label="Text of the document">
      {growProblem && <ProblemNotice problem={growProblem} />}
      <GrowButton
        direction="above"
        more={window.start > 0}
        busy={growing === "above"}
        onGrow={onGrow}
      />
      <div className="source-body-text" dir="auto">
        <TextPieces pieces={pieces.before} />
        {pieces.marked.length > 0 && (
          <mark ref={mark} className="cited">
            <TextPieces pieces={pieces.marked} />
          </mark>
        )}
        <TextPieces pieces={pieces.after} />
      </div>
      <GrowButton
        direction="below"
        more={window.end < document.length}
        busy={growing === "below"}
        onGrow={onGrow}
      />
    </section>
  );
}
