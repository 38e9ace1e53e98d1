/** One page of one collection's documents. */

import type { Client } from "../api/client";
import { asProblem, isAbort, type Problem } from "../api/problem";
import type { DocumentInfo } from "../api/types";
import { createStore, type Store } from "./store";

export const DOCUMENTS_PER_PAGE = 50;

export type DocumentsState = {
  collection: string | null;
  query: string;
  offset: number;
  items: DocumentInfo[];
  total: number;
  loading: boolean;
  problem: Problem | null;
};

export type Documents = {
  store: Store<DocumentsState>;
  show: (collection: string) => Promise<void>;
  search: (query: string) => Promise<void>;
  turnTo: (offset: number) => Promise<void>;
  reload: () => Promise<void>;
  /** Throws a Problem. */
  remove: (id: string) => Promise<void>;
};

const EMPTY: DocumentsState = {
  collection: null,
  query: "",
  offset: 0,
  items: [],
  total: 0,
  loading: false,
  problem: null,
};

export function createDocuments(
  api: Pick<Client, "documents" | "deleteDocument">,
  onChange: () => void,
): Documents {
  const store = createStore(EMPTY);
  let request = new AbortController();

  const reload = async () => {
    const { collection, query, offset } = store.get();
    if (collection === null) return;
    request.abort();
    request = new AbortController();
    const { signal } = request;
    store.update((state) => ({ ...state, loading: true, problem: null }));
    try {
      const page = { limit: DOCUMENTS_PER_PAGE, offset, q: query };
      const { items, total } = await api.documents(collection, page, signal);
      if (signal.aborted) return;
      store.update((state) => ({ ...state, items, total, loading: false }));
      // The last row of the last page was deleted: show the page before it.
      if (items.length === 0 && offset > 0) {
        const last = Math.max(0, Math.ceil(total / DOCUMENTS_PER_PAGE) - 1);
        await turnTo(last * DOCUMENTS_PER_PAGE);
      }
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      const problem = asProblem(error);
      // A collection that was never written to is an empty one to its reader.
      const missing = problem.status === 404;
      store.update((state) => ({
        ...state,
        items: [],
        total: 0,
        loading: false,
        problem: missing ? null : problem,
      }));
    }
  };

  const turnTo = async (offset: number) => {
    if (offset === store.get().offset) return;
    store.update((state) => ({ ...state, offset }));
    await reload();
  };

  return {
    store,
    reload,
    turnTo,
    show: async (collection) => {
      if (collection !== store.get().collection) store.set({ ...EMPTY, collection });
      await reload();
    },
    search: async (query) => {
      if (query === store.get().query) return;
      store.update((state) => ({ ...state, query, offset: 0 }));
      await reload();
    },
    remove: async (id) => {
      await api.deleteDocument(id);
      onChange();
      await reload();
    },
  };
}
