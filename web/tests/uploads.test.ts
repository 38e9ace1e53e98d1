import { describe, expect, it } from "vitest";
import { Problem } from "../src/api/problem";
import type { FileFailure, Job } from "../src/api/types";
import type { NamedFile } from "../src/api/upload";
import { createUploads, firstBatch } from "../src/state/uploads";

function files(count: number, size = 1): NamedFile[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `${i}.txt`,
    file: { size } as File,
  }));
}

function job(id: string, part: Partial<Job>): Job {
  return {
    id,
    kind: "ingest",
    collection: "docs",
    source: "",
    status: "queued",
    progress: { done: 0, total: 0, chunks: 0 },
    result: null,
    error: null,
    ...part,
  };
}

function result(documents: number, failed: FileFailure[] = []): NonNullable<Job["result"]> {
  return { documents, chunks: documents, unchanged: 0, failed, seconds: 0 };
}

const noWait = async () => {};

describe("uploads", () => {
  it("sends batch after batch and adds up their outcomes", async () => {
    const batches: string[][] = [];
    const stored: string[] = [];
    const uploads = createUploads(
      {
        uploadFiles: async (_, batch) => {
          batches.push(batch.map(({ name }) => name));
          return job(String(batches.length), { status: "running" });
        },
        job: async (id) => {
          const batch = batches[Number(id) - 1] ?? [];
          const failed = batch.includes("7.txt") ? [{ uri: "7.txt", error: "It is empty." }] : [];
          return job(id, {
            status: "succeeded",
            result: result(batch.length - failed.length, failed),
          });
        },
      },
      (collection) => stored.push(collection),
      noWait,
    );
    await uploads.start("notes", files(230));
    expect(batches.map((batch) => batch.length)).toEqual([100, 100, 30]);
    expect(uploads.store.get()).toMatchObject([
      {
        phase: "finished",
        done: 230,
        stored: 229,
        failed: [{ uri: "7.txt", error: "It is empty." }],
        remaining: [],
      },
    ]);
    expect(stored).toEqual(["notes", "notes", "notes"]);
  });

  it("keeps what was not sent when the server is lost, and continues there", async () => {
    let reachable = false;
    let sent = 0;
    const uploads = createUploads(
      {
        uploadFiles: async (_, batch) => {
          if (sent === 100 && !reachable) throw new Problem({ title: "Gone" });
          sent += batch.length;
          return job("j", { status: "succeeded", result: result(batch.length) });
        },
        job: async (id) => job(id, { status: "running" }),
      },
      () => {},
      noWait,
    );
    await uploads.start("notes", files(150));
    const [broken] = uploads.store.get();
    expect(broken).toMatchObject({ phase: "interrupted", done: 100, problem: { title: "Gone" } });
    expect(broken?.remaining).toHaveLength(50);
    reachable = true;
    await uploads.resume(broken?.id ?? 0);
    expect(uploads.store.get()).toMatchObject([
      { phase: "finished", stored: 150, problem: null, remaining: [] },
    ]);
  });

  it("lists every file of a job that failed as a whole", async () => {
    const uploads = createUploads(
      {
        uploadFiles: async () => job("j", { status: "failed", error: "The disk is full." }),
        job: async (id) => job(id, {}),
      },
      () => {},
      noWait,
    );
    await uploads.start("notes", files(2));
    expect(uploads.store.get()[0]?.failed).toEqual([
      { uri: "0.txt", error: "The disk is full." },
      { uri: "1.txt", error: "The disk is full." },
    ]);
  });
});

describe("firstBatch", () => {
  it("takes at least one file, however large, and no more than the limits", () => {
    const huge = 100 * 1024 * 1024;
    expect(firstBatch(files(3, huge))).toHaveLength(1);
    expect(firstBatch(files(500))).toHaveLength(100);
    expect(firstBatch(files(10, 20 * 1024 * 1024))).toHaveLength(3);
    expect(firstBatch([])).toEqual([]);
  });
});
