import { useEffect } from "react";
import type { Job } from "../../api/types";
import { useAction } from "../../hooks/useAction";
import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { formatCount, formatNumber } from "../../text/format";
import { ProblemNotice } from "../shared/ProblemNotice";
import { Progress } from "../shared/Progress";

/** What the server reads into a collection, but for uploads that this page shows by itself. */
export function JobList({ collection }: { collection: string }) {
  const { jobs, uploads } = useApp();
  const own = new Set(useStore(uploads.store).map((upload) => upload.jobId));
  const open = useStore(jobs.store).filter(
    (job) => job.collection === collection && !own.has(job.id),
  );
  useEffect(() => jobs.follow(), [jobs]);
  if (open.length === 0) return null;
  return (
    <section className="uploads" aria-label="Jobs">
      {open.map((job) => (
        <JobCard key={job.id} job={job} />
      ))}
    </section>
  );
}

function JobCard({ job }: { job: Job }) {
  const { jobs } = useApp();
  const { busy, problem, run } = useAction();
  const { done, total } = job.progress;
  const paused = job.status === "paused";
  return (
    <article className="upload" aria-busy={job.status === "running"}>
      <div className="upload-head">
        <p className="upload-title">{headline(job)}</p>
        <div className="job-actions">
          <button
            type="button"
            className="button button-small"
            disabled={busy}
            onClick={() => void run(() => jobs.change(job.id, paused ? "resume" : "pause"))}
          >
            {paused ? "Resume" : "Pause"}
          </button>
          <button
            type="button"
            className="button button-small"
            disabled={busy}
            onClick={() => void run(() => jobs.change(job.id, "cancel"))}
          >
            Cancel
          </button>
        </div>
      </div>
      {job.status === "running" && job.kind !== "watch" && (
        <Progress label="Read" value={done} max={total} />
      )}
      {job.error && <p className="job-error">Last try: {job.error}</p>}
      {problem && <ProblemNotice problem={problem} />}
    </article>
  );
}

function headline({ kind, status, source, progress }: Job): string {
  const { done, total } = progress;
  const name = source || "a job";
  if (status === "queued") return `Waiting: ${name}`;
  if (status === "paused") return `Paused: ${name}`;
  if (kind === "watch") return `Following ${name}, ${formatCount(done, "file")} read`;
  return `Reading ${name}: ${formatNumber(done)} of ${formatNumber(total)}`;
}
