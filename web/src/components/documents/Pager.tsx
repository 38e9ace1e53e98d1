import { formatNumber } from "../../text/format";

type Props = { offset: number; size: number; total: number; onTurn: (offset: number) => void };

export function Pager({ offset, size, total, onTurn }: Props) {
  if (total <= size) return null;
  const last = Math.min(offset + size, total);
  return (
    <nav className="pager" aria-label="Pages of documents">
      <button
        type="button"
        className="button"
        disabled={offset === 0}
        onClick={() => onTurn(Math.max(0, offset - size))}
      >
        Previous
      </button>
      <span aria-live="polite">
        {formatNumber(offset + 1)}–{formatNumber(last)} of {formatNumber(total)}
      </span>
      <button
        type="button"
        className="button"
        disabled={last >= total}
        onClick={() => onTurn(offset + size)}
      >
        Next
      </button>
    </nav>
  );
}
