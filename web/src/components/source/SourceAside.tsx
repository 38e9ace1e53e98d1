import { useEffect, useRef } from "react";
import type { OpenSource } from "../../state/source";
import { SourceView } from "./SourceView";

type Props = { source: OpenSource; onClose: () => void };

/** Takes the focus when it opens and gives it back to the marker when it closes. */
export function SourceAside({ source, onClose }: Props) {
  const panel = useRef<HTMLElement>(null);
  const opener = useRef<Element | null>(null);
  const { target } = source;

  // biome-ignore lint/correctness/useExhaustiveDependencies: each new target has its own opener.
  useEffect(() => {
    const active = document.activeElement;
    if (active && active !== document.body && !panel.current?.contains(active)) {
      opener.current = active;
    }
    panel.current?.focus({ preventScroll: true });
  }, [target]);

  useEffect(
    () => () => {
      const element = opener.current;
      if (element instanceof HTMLElement && element.isConnected) {
        element.focus({ preventScroll: true });
      }
    },
    [],
  );

  useEffect(() => {
    // Menus and dialogs above take their own Escape first and mark it as used.
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) onClose();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, [onClose]);

  return (
    <aside
      className="source-aside"
      ref={panel}
      tabIndex={-1}
      aria-label={`Source: ${target.title}`}
    >
      <SourceView source={source} onClose={onClose} />
    </aside>
  );
}
