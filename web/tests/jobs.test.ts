import { expect, test } from "vitest";
import type { Job } from "../src/api/types";
import { createJobs } from "../src/state/jobs";

function job(id: string, collection = "docs"): Job {
  return {
    id,
    kind: "ingest",
    collection,
    source: "x",
    status: "running",
    progress: { done: 0, total: 1, chunks: 0 },
    result: null,
    error: null,
  };
}

/** A server whose list is given, and a clock whose ticks are. */
function setUp() {
  const lists: Job[][] = [];
  const changes: string[] = [];
  const ended: string[][] = [];
  const ticks: (() => void)[] = [];
  const jobs = createJobs(
    {
      openJobs: async () => {
        const items = lists.length > 1 ? (lists.shift() ?? []) : (lists[0] ?? []);
        return { items, total: items.length };
      },
      changeJob: async (id, change) => {
        changes.push(`${change} ${id}`);
        return job(id);
      },
    },
    (collections) => ended.push([...collections]),
    () => new Promise((go) => ticks.push(go)),
  );
  const settle = () => new Promise((go) => setTimeout(go, 0));
  const tick = async () => {
    ticks.shift()?.();
    await settle();
  };
  return { jobs, lists, changes, ended, ticks, tick, settle };
}

test("the list follows the server, and what ended is told of", async () => {
  const { jobs, lists, ended, tick, settle } = setUp();
  lists.push([job("1"), job("2", "other")], [job("1")], []);
  const stop = jobs.follow();
  await settle();
  expect(jobs.store.get().map(({ id }) => id)).toEqual(["1", "2"]);
  expect(ended).toEqual([]);
  await tick();
  expect(ended).toEqual([["other"]]);
  await tick();
  expect(ended).toEqual([["other"], ["docs"]]);
  expect(jobs.store.get()).toEqual([]);
  stop();
});

test("nobody is asked once nobody follows", async () => {
  const { jobs, lists, ticks, tick, settle } = setUp();
  lists.push([job("1")]);
  const stop = jobs.follow();
  await settle();
  stop();
  await tick();
  expect(ticks).toEqual([]);
});

test("a change is made and the list looked at again", async () => {
  const { jobs, lists, changes, ended } = setUp();
  lists.push([]);
  jobs.store.set([job("1")]);
  await jobs.change("1", "cancel");
  expect(changes).toEqual(["cancel 1"]);
  expect(jobs.store.get()).toEqual([]);
  expect(ended).toEqual([["docs"]]);
});
