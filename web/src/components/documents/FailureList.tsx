import type { FileFailure } from "../../api/types";
import { formatCount } from "../../text/format";

/** Every file that was not stored, with its reason. Long lists scroll. */
export function FailureList({ failures }: { failures: FileFailure[] }) {
  return (
    <div className="failures">
      <p className="failures-title">{formatCount(failures.length, "file")} could not be read</p>
      <ul>
        {failures.map((failure, position) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the list only grows; names may repeat.
          <li key={position}>
            <span className="failure-name">{failure.uri}</span>
            <span className="failure-reason">{failure.error}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
