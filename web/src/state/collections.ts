/** The collections, and which one questions and uploads go to. */

import type { Client } from "../api/client";
import { asProblem, type Problem } from "../api/problem";
import type { Collection } from "../api/types";
import { createStore, type Store } from "./store";

export type CollectionsState = {
  items: Collection[];
  loaded: boolean;
  problem: Problem | null;
  current: string;
};

export type Collections = {
  store: Store<CollectionsState>;
  load: () => Promise<void>;
  select: (name: string) => void;
  /** Creates and selects it. Throws a Problem. */
  create: (name: string, description: string) => Promise<void>;
  /** Deletes it with its documents. Throws a Problem. */
  remove: (name: string) => Promise<void>;
};

const PAGE = 200;
export const DEFAULT_COLLECTION = "default";

export function createCollections(
  api: Pick<Client, "collections" | "createCollection" | "deleteCollection">,
  memory: { read: () => string | null; write: (name: string) => void },
): Collections {
  const store = createStore<CollectionsState>({
    items: [],
    loaded: false,
    problem: null,
    current: memory.read() ?? DEFAULT_COLLECTION,
  });

  const select = (name: string) => {
    memory.write(name);
    store.update((state) => ({ ...state, current: name }));
  };

  const load = async () => {
    try {
      const items: Collection[] = [];
      for (;;) {
        const page = await api.collections({ limit: PAGE, offset: items.length });
        items.push(...page.items);
        if (page.items.length === 0 || items.length >= page.total) break;
      }
      store.update((state) => ({ ...state, items, loaded: true, problem: null }));
    } catch (error) {
      store.update((state) => ({ ...state, problem: asProblem(error) }));
    }
  };

  return {
    store,
    load,
    select,
    create: async (name, description) => {
      await api.createCollection(name, description);
      select(name);
      await load();
    },
    remove: async (name) => {
      await api.deleteCollection(name);
      await load();
      const { items, current } = store.get();
      if (current === name) select(items[0]?.name ?? DEFAULT_COLLECTION);
    },
  };
}

export function currentCollection(state: CollectionsState): Collection | undefined {
  return state.items.find((collection) => collection.name === state.current);
}
