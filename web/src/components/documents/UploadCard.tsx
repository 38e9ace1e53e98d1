import { useApp } from "../../state/context";
import type { Upload } from "../../state/uploads";
import { formatCount, formatNumber } from "../../text/format";
import { Icon } from "../shared/Icon";
import { ProblemNotice } from "../shared/ProblemNotice";
import { Progress } from "../shared/Progress";
import { FailureList } from "./FailureList";

/** One upload from the first byte to the last file's outcome. */
export function UploadCard({ upload }: { upload: Upload }) {
  const { uploads } = useApp();
  const running = upload.phase === "sending" || upload.phase === "reading";
  const share = upload.phase === "sending" && upload.done === 0;
  return (
    <article className="upload" aria-busy={running}>
      <div className="upload-head">
        <p className="upload-title" role="status">
          {headline(upload)}
        </p>
        {!running && (
          <button
            type="button"
            className="icon-button"
            aria-label="Dismiss this upload"
            onClick={() => uploads.dismiss(upload.id)}
          >
            <Icon name="close" />
          </button>
        )}
      </div>
      {running && (
        <Progress
          label={share ? "Sent" : "Files read"}
          value={share ? upload.sent : upload.done}
          max={share ? 1 : upload.total}
        />
      )}
      {upload.problem && (
        <ProblemNotice
          problem={upload.problem}
          retryLabel="Continue the upload"
          onRetry={() => void uploads.resume(upload.id)}
        />
      )}
      {upload.failed.length > 0 && <FailureList failures={upload.failed} />}
    </article>
  );
}

function headline(upload: Upload): string {
  const { phase, total, done } = upload;
  if (phase === "sending" && done === 0) return `Sending ${formatCount(total, "file")}…`;
  if (phase === "sending" || phase === "reading") {
    return `Reading ${formatNumber(done)} of ${formatCount(total, "file")}…`;
  }
  const parts = [
    upload.stored > 0 ? `${formatCount(upload.stored, "document")} added` : "",
    upload.unchanged > 0 ? `${formatNumber(upload.unchanged)} unchanged` : "",
    upload.failed.length > 0 ? `${formatNumber(upload.failed.length)} not read` : "",
  ].filter(Boolean);
  if (phase === "interrupted") parts.push(`${formatNumber(total - done)} not sent`);
  return parts.join(", ") || "Nothing to add";
}
