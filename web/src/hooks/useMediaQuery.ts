import { useCallback, useSyncExternalStore } from "react";

export function useMediaQuery(query: string): boolean {
  const subscribe = useCallback(
    (listener: () => void) => {
      const list = matchMedia(query);
      list.addEventListener("change", listener);
      return () => list.removeEventListener("change", listener);
    },
    [query],
  );
  return useSyncExternalStore(subscribe, () => matchMedia(query).matches);
}

/** Widths at which the sidebar and the source stand beside the conversation (see shell.css). */
export const SIDEBAR_FITS = "(min-width: 860px)";
export const SOURCE_FITS = "(min-width: 1180px)";
