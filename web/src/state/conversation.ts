/** The open conversation: loads, asks, stops, asks again, rates. One question at a time. */

import type { Client } from "../api/client";
import { asProblem, isAbort, type Problem } from "../api/problem";
import type { Rating } from "../api/types";
import { type Change, changeExchanges, type Exchange, exchangesFromTurns } from "./exchange";
import { createStore, type Store } from "./store";

export type ConversationState = {
  /** Another number for each chat opened or begun, also while a new chat has no id yet. */
  visit: number;
  chatId: string | null;
  /** The collection of a stored chat; a new one takes the current collection. */
  collection: string | null;
  title: string | null;
  exchanges: Exchange[];
  loading: boolean;
  problem: Problem | null;
};

export type Conversation = {
  store: Store<ConversationState>;
  open: (chatId: string) => Promise<void>;
  reset: () => void;
  ask: (question: string, collection: string) => Promise<void>;
  stop: () => void;
  /** Drops a failed, stopped or missing answer and asks its question once more. */
  retry: (exchange: Exchange, collection: string) => Promise<void>;
  /** Stores what somebody thinks of an answer; null takes it back. Throws a Problem. */
  rate: (messageId: string, rating: Rating | null) => Promise<void>;
};

export type ConversationListener = {
  /** A stored chat was loaded. */
  opened: (collection: string) => void;
  /** The server has named the chat of a first question. */
  named: (chatId: string) => void;
  /** An answer came to its end, whatever the end. */
  ended: () => void;
};

const EMPTY: ConversationState = {
  visit: 0,
  chatId: null,
  collection: null,
  title: null,
  exchanges: [],
  loading: false,
  problem: null,
};

export function createConversation(
  api: Pick<Client, "ask" | "chat" | "rate" | "unrate">,
  on: ConversationListener,
): Conversation {
  const store = createStore(EMPTY);
  // Aborting it ends whatever the conversation is waiting for.
  let current = new AbortController();
  let nextKey = 1;
  let visit = 0;

  const restart = () => {
    current.abort();
    current = new AbortController();
    return current.signal;
  };
  const change = (action: Change) =>
    store.update((state) => ({ ...state, exchanges: changeExchanges(state.exchanges, action) }));

  const open = async (chatId: string) => {
    const signal = restart();
    visit++;
    store.set({ ...EMPTY, visit, chatId, loading: true });
    try {
      const chat = await api.chat(chatId, signal);
      if (signal.aborted) return;
      const { collection, title } = chat;
      const exchanges = exchangesFromTurns(chat.turns);
      store.set({ ...EMPTY, visit, chatId, collection, title, exchanges });
      on.opened(collection);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      store.set({ ...EMPTY, visit, chatId, problem: asProblem(error) });
    }
  };

  const name = (chatId: string) => {
    if (chatId === store.get().chatId) return;
    store.update((state) => ({ ...state, chatId }));
    on.named(chatId);
  };

  const ask = async (question: string, collection: string) => {
    const signal = restart();
    const key = `asked-${nextKey++}`;
    const { chatId } = store.get();
    change({ type: "asked", key, question });
    store.update((state) => ({ ...state, collection }));
    try {
      for await (const event of api.ask({ question, collection, chatId }, signal)) {
        if (signal.aborted) break;
        change({ type: "event", key, event });
        if (event.type === "done") name(event.answer.chat_id);
      }
    } catch (error) {
      if (!isAbort(error)) change({ type: "failed", key, problem: asProblem(error) });
    }
    if (signal.aborted) change({ type: "stopped", key });
    on.ended();
  };

  return {
    store,
    open,
    ask,
    reset: () => {
      restart();
      visit++;
      store.set({ ...EMPTY, visit });
    },
    stop: () => {
      restart();
      // At once: the stream may take a moment to end.
      const last = store.get().exchanges.at(-1);
      if (last) change({ type: "stopped", key: last.key });
    },
    retry: async (exchange, collection) => {
      change({ type: "dropped", key: exchange.key });
      await ask(exchange.question, collection);
    },
    rate: async (messageId, rating) => {
      const { chatId } = store.get();
      if (!chatId) return;
      const kept = rating ? await api.rate(chatId, messageId, rating) : null;
      if (!rating) await api.unrate(chatId, messageId);
      change({ type: "rated", messageId, rating: kept });
    },
  };
}

export function isAsking(state: ConversationState): boolean {
  return state.exchanges.at(-1)?.answer.phase === "asking";
}
