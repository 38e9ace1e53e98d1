import type { MouseEvent, ReactNode } from "react";
import { useApp } from "../../state/context";
import { type Route, routePath } from "../../state/route";

type Props = { to: Route; current?: boolean; className?: string; children: ReactNode };

/** A real link: a plain click stays on the page, any other does what the browser does. */
export function Link({ to, current = false, className, children }: Props) {
  const { router } = useApp();
  const onClick = (event: MouseEvent) => {
    const plain = !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
    if (event.button !== 0 || !plain) return;
    event.preventDefault();
    router.go(to);
  };
  return (
    <a
      href={routePath(to)}
      className={className}
      aria-current={current ? "page" : undefined}
      onClick={onClick}
    >
      {children}
    </a>
  );
}
