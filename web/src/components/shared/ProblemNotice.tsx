import type { Problem } from "../../api/problem";
import { Icon } from "./Icon";

type Props = { problem: Problem; onRetry?: (() => void) | undefined; retryLabel?: string };

/** What went wrong, why, and what to do, in the server's own words. */
export function ProblemNotice({ problem, onRetry, retryLabel = "Try again" }: Props) {
  return (
    <div className="notice notice-problem" role="alert">
      <Icon name="alert" />
      <div className="notice-body">
        <p className="notice-title">{problem.title}</p>
        {problem.detail && <p>{problem.detail}</p>}
        {problem.hint && <p className="notice-hint">{problem.hint}</p>}
        {onRetry && (
          <button type="button" className="button button-small" onClick={onRetry}>
            <Icon name="retry" />
            {retryLabel}
          </button>
        )}
      </div>
    </div>
  );
}
