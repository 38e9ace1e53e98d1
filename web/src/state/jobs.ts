/**
 * Jobs under way on the server, whoever began them: uploads of before a reload, pages, folders.
 *
 * What always holds: the server is asked again only while somebody follows, and by one loop.
 */

import type { Client, JobChange } from "../api/client";
import type { Job } from "../api/types";
import { createStore, type Store } from "./store";

const POLL_MS = 3000;

export type Jobs = {
  store: Store<Job[]>;
  /** Keeps the list up to date until the function that it returns is called. */
  follow: () => () => void;
  change: (id: string, change: JobChange) => Promise<void>;
};

export function createJobs(
  api: Pick<Client, "openJobs" | "changeJob">,
  onEnded: (collections: Set<string>) => void,
  wait: (milliseconds: number) => Promise<void> = (ms) => new Promise((go) => setTimeout(go, ms)),
): Jobs {
  const store = createStore<Job[]>([]);
  let round = 0;

  const load = async () => {
    let items: Job[];
    try {
      ({ items } = await api.openJobs());
    } catch {
      return; // the page says elsewhere that the server is away
    }
    const open = new Set(items.map((job) => job.id));
    const ended = store.get().filter((job) => !open.has(job.id));
    store.set(items);
    if (ended.length > 0) onEnded(new Set(ended.map((job) => job.collection)));
  };

  return {
    store,
    follow: () => {
      round += 1;
      const mine = round;
      void (async () => {
        while (mine === round) {
          await load();
          await wait(POLL_MS);
        }
      })();
      return () => {
        if (mine === round) round += 1;
      };
    },
    change: async (id, change) => {
      await api.changeJob(id, change);
      await load();
    },
  };
}
