import type { Passage } from "../../api/types";
import { useApp } from "../../state/context";
import { sourceKey } from "../../text/answer";
import { formatAlike, formatCount } from "../../text/format";
import { documentName, passageTarget } from "../source/target";

/** Everything that was read for the answer, folded away. */
export function PassageList({ passages }: { passages: Passage[] }) {
  const app = useApp();
  return (
    <details className="passages">
      <summary>{formatCount(passages.length, "passage")} read</summary>
      <ol className="passage-list">
        {passages.map((passage) => (
          <li key={sourceKey(passage)}>
            <button
              type="button"
              className="passage"
              onClick={() => void app.source.open(passageTarget(passage))}
            >
              <span className="passage-title">{documentName(passage)}</span>
              <span className="faint">
                {passage.page === null ? passage.uri : `page ${passage.page}`}
              </span>
              <Alike passage={passage} />
            </button>
          </li>
        ))}
      </ol>
    </details>
  );
}

/** How many others were left out because they say nearly the same. */
function Alike({ passage }: { passage: Passage }) {
  const told = formatAlike(passage.near_duplicates?.length ?? 0);
  return told ? <span className="passage-alike">{told}</span> : null;
}
