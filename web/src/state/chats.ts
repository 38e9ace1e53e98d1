/** The list of past chats, newest first, loaded page by page. */

import type { Client } from "../api/client";
import { asProblem, type Problem } from "../api/problem";
import type { Chat } from "../api/types";
import { createStore, type Store } from "./store";

const PAGE = 30;

export type ChatsState = {
  items: Chat[];
  total: number;
  loaded: boolean;
  problem: Problem | null;
};

export type Chats = {
  store: Store<ChatsState>;
  /** Loads again what is shown, at least the first page. */
  load: () => Promise<void>;
  loadMore: () => Promise<void>;
  /** Throws a Problem. */
  remove: (id: string) => Promise<void>;
};

export function createChats(api: Pick<Client, "chats" | "deleteChat">): Chats {
  const store = createStore<ChatsState>({ items: [], total: 0, loaded: false, problem: null });

  const fetchUpTo = async (count: number) => {
    try {
      const items: Chat[] = [];
      let total = 0;
      for (;;) {
        const page = await api.chats({ limit: PAGE, offset: items.length });
        items.push(...page.items);
        total = page.total;
        if (page.items.length === 0 || items.length >= Math.min(count, total)) break;
      }
      store.set({ items, total, loaded: true, problem: null });
    } catch (error) {
      store.update((state) => ({ ...state, problem: asProblem(error) }));
    }
  };

  const load = () => fetchUpTo(Math.max(PAGE, store.get().items.length));

  return {
    store,
    load,
    loadMore: () => fetchUpTo(store.get().items.length + PAGE),
    remove: async (id) => {
      await api.deleteChat(id);
      await load();
    },
  };
}
