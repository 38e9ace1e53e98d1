/**
 * Uploads: files sent in batches, each batch a job that is polled until it ends.
 *
 * Batches of one upload run one after another, so a folder of thousands of files neither makes one
 * huge request nor floods the queue. What always holds: every file of an upload is counted once, as
 * stored, unchanged or failed, or the upload has a problem and keeps the files it has not sent.
 */

import type { Client } from "../api/client";
import { asProblem, type Problem } from "../api/problem";
import type { FileFailure, Job } from "../api/types";
import type { NamedFile } from "../api/upload";
import { createStore, type Store } from "./store";

const BATCH_FILES = 100;
const BATCH_BYTES = 64 * 1024 * 1024;
const POLL_MS = 600;

export type Upload = {
  id: number;
  collection: string;
  /** The job that reads the current batch. */
  jobId: string | null;
  total: number;
  /** Files whose job has ended, and the part of the running job that is read. */
  done: number;
  phase: "sending" | "reading" | "finished" | "interrupted";
  /** Sent share of the current batch, 0 to 1. */
  sent: number;
  stored: number;
  unchanged: number;
  chunks: number;
  failed: FileFailure[];
  problem: Problem | null;
  remaining: NamedFile[];
};

export type Uploads = {
  store: Store<Upload[]>;
  start: (collection: string, files: NamedFile[]) => Promise<void>;
  /** Sends what an interrupted upload has not stored. */
  resume: (id: number) => Promise<void>;
  dismiss: (id: number) => void;
};

export function createUploads(
  api: Pick<Client, "uploadFiles" | "job">,
  onStored: (collection: string) => void,
  wait: (milliseconds: number) => Promise<void> = (ms) => new Promise((go) => setTimeout(go, ms)),
): Uploads {
  const store = createStore<Upload[]>([]);
  let nextId = 1;

  const change = (id: number, part: (upload: Upload) => Partial<Upload>) =>
    store.update((all) =>
      all.map((upload) => (upload.id === id ? { ...upload, ...part(upload) } : upload)),
    );
  const find = (id: number) => store.get().find((upload) => upload.id === id);

  const runBatch = async (id: number, upload: Upload, batch: NamedFile[]) => {
    const before = upload.done;
    change(id, () => ({ phase: "sending", sent: 0 }));
    let job = await api.uploadFiles(upload.collection, batch, (sent) =>
      change(id, () => (sent < 1 ? { sent } : { sent, phase: "reading" })),
    );
    for (;;) {
      const read = Math.min(batch.length, job.progress.done);
      const jobId = job.id;
      change(id, () => ({ phase: "reading", sent: 1, done: before + read, jobId }));
      if (hasEnded(job)) break;
      await wait(POLL_MS);
      job = await api.job(job.id);
    }
    change(id, (now) => ({ ...outcome(now, job, batch), done: before + batch.length }));
  };

  const run = async (id: number) => {
    for (;;) {
      const upload = find(id);
      if (!upload) return;
      if (upload.remaining.length === 0) {
        change(id, () => ({ phase: "finished" }));
        return;
      }
      const batch = firstBatch(upload.remaining);
      try {
        await runBatch(id, upload, batch);
      } catch (error) {
        const problem = asProblem(error);
        change(id, () => ({ phase: "interrupted", problem, done: upload.done }));
        return;
      }
      change(id, (now) => ({ remaining: now.remaining.slice(batch.length) }));
      onStored(upload.collection);
    }
  };

  return {
    store,
    start: async (collection, files) => {
      if (files.length === 0) return;
      const id = nextId++;
      const upload: Upload = {
        id,
        collection,
        jobId: null,
        total: files.length,
        done: 0,
        phase: "sending",
        sent: 0,
        stored: 0,
        unchanged: 0,
        chunks: 0,
        failed: [],
        problem: null,
        remaining: files,
      };
      store.update((all) => [upload, ...all]);
      await run(id);
    },
    resume: async (id) => {
      if (find(id)?.phase !== "interrupted") return;
      change(id, () => ({ problem: null, phase: "sending" }));
      await run(id);
    },
    dismiss: (id) => store.update((all) => all.filter((upload) => upload.id !== id)),
  };
}

/** As many leading files as one request should carry; always at least one. */
export function firstBatch(files: readonly NamedFile[]): NamedFile[] {
  let bytes = 0;
  let count = 0;
  for (const { file } of files) {
    if (count > 0 && (count >= BATCH_FILES || bytes + file.size > BATCH_BYTES)) break;
    bytes += file.size;
    count++;
  }
  return files.slice(0, count);
}

function hasEnded(job: Job): boolean {
  return job.status === "succeeded" || job.status === "failed" || job.status === "cancelled";
}

function outcome(upload: Upload, job: Job, batch: NamedFile[]): Partial<Upload> {
  if (job.result) {
    return {
      stored: upload.stored + job.result.documents,
      unchanged: upload.unchanged + job.result.unchanged,
      chunks: upload.chunks + job.result.chunks,
      failed: [...upload.failed, ...job.result.failed],
    };
  }
  const cancelled = job.status === "cancelled";
  const error = job.error ?? (cancelled ? "Cancelled." : "The job failed without a reason.");
  return { failed: [...upload.failed, ...batch.map(({ name }) => ({ uri: name, error }))] };
}
