import type { Direction } from "../../state/source";
import { Icon } from "../shared/Icon";

type Props = {
  direction: Direction;
  more: boolean;
  busy: boolean;
  onGrow: (direction: Direction) => Promise<void>;
};

const WORDS = {
  above: { label: "Show earlier text", end: "Beginning of the document", icon: "up" },
  below: { label: "Show later text", end: "End of the document", icon: "down" },
} as const;

export function GrowButton({ direction, more, busy, onGrow }: Props) {
  const { label, end, icon } = WORDS[direction];
  if (!more) return <p className="source-end">{end}</p>;
  return (
    <button
      type="button"
      className="button button-small source-grow"
      aria-disabled={busy}
      onClick={() => void onGrow(direction)}
    >
      <Icon name={icon} />
      {busy ? "Loading…" : label}
    </button>
  );
}
