/** Wires the page's state together: the one place where one part's change reaches another. */

import { type Client, client } from "../api/client";
import { asProblem, type Problem } from "../api/problem";
import type { ServerStatus } from "../api/types";
import type { NamedFile } from "../api/upload";
import { type Chats, createChats } from "./chats";
import { type Collections, createCollections, DEFAULT_COLLECTION } from "./collections";
import { type Conversation, createConversation } from "./conversation";
import { createDocuments, type Documents } from "./documents";
import { createJobs, type Jobs } from "./jobs";
import { collectionMemory } from "./memory";
import type { Route } from "./route";
import { createRouter, type Router } from "./router";
import { createSource, type Source } from "./source";
import { createStore, type Store } from "./store";
import { createUploads, type Uploads } from "./uploads";

export type ServerState = { status: ServerStatus | null; problem: Problem | null };

export type App = {
  router: Router;
  server: Store<ServerState>;
  collections: Collections;
  documents: Documents;
  uploads: Uploads;
  jobs: Jobs;
  chats: Chats;
  conversation: Conversation;
  source: Source;
  /** Loads what every page shows; also the way to try again after the server was away. */
  start: () => Promise<void>;
  newChat: () => void;
  chooseCollection: (name: string) => void;
  upload: (files: NamedFile[]) => void;
  deleteChat: (id: string) => Promise<void>;
  deleteCollection: (name: string) => Promise<void>;
};

export function createApp(api: Client = client): App {
  const router = createRouter();
  const server = createStore<ServerState>({ status: null, problem: null });
  const collections = createCollections(api, collectionMemory);
  const chats = createChats(api);
  const source = createSource(api);
  const documents = createDocuments(api, () => void collections.load());
  const uploads = createUploads(api, (collection) => {
    void collections.load();
    if (documents.store.get().collection === collection) void documents.reload();
  });
  const jobs = createJobs(api, (ended) => {
    void collections.load();
    const shown = documents.store.get().collection;
    if (shown !== null && ended.has(shown)) void documents.reload();
  });
  const conversation = createConversation(api, {
    opened: (collection) => {
      if (router.route.get().page === "chat") collections.select(collection);
    },
    named: (chatId) => {
      const route = router.route.get();
      if (route.page === "chat" && route.chatId === null) router.replace({ page: "chat", chatId });
    },
    ended: () => void chats.load(),
  });

  // The address decides what is open; a conversation that is already open is left as it is.
  let shown = router.route.get().page;
  const follow = () => {
    const route = router.route.get();
    const { chatId, collection } = conversation.store.get();
    const stays = route.page === "chat" && shown === "chat" && route.chatId === chatId;
    if (!stays) source.close();
    shown = route.page;
    if (route.page === "documents") {
      collections.select(route.collection);
      void documents.show(route.collection);
    } else if (route.chatId !== chatId) {
      if (route.chatId) void conversation.open(route.chatId);
      else conversation.reset();
    } else if (collection) collections.select(collection);
  };

  // The remembered collection may be gone; then take one that exists.
  const settleCollection = () => {
    const { items, current } = collections.store.get();
    const known = items.some((collection) => collection.name === current);
    const fallback = items.find((collection) => collection.name === DEFAULT_COLLECTION) ?? items[0];
    if (!known && fallback && isNewChat(router.route.get())) collections.select(fallback.name);
  };

  const readStatus = async () => {
    try {
      server.set({ status: await api.status(), problem: null });
    } catch (error) {
      server.set({ status: null, problem: asProblem(error) });
    }
  };

  const newChat = () => {
    conversation.reset();
    router.go({ page: "chat", chatId: null });
  };

  router.route.subscribe(follow);

  return {
    router,
    server,
    collections,
    documents,
    uploads,
    jobs,
    chats,
    conversation,
    source,
    newChat,
    start: async () => {
      follow();
      await Promise.all([readStatus(), collections.load(), chats.load()]);
      settleCollection();
    },
    chooseCollection: (name) => {
      if (name === collections.store.get().current) return;
      collections.select(name);
      if (router.route.get().page === "documents") {
        router.go({ page: "documents", collection: name });
      } else newChat();
    },
    upload: (files) => {
      const { current } = collections.store.get();
      void uploads.start(current, files);
      router.go({ page: "documents", collection: current });
    },
    deleteChat: async (id) => {
      await chats.remove(id);
      if (conversation.store.get().chatId === id) newChat();
    },
    deleteCollection: async (name) => {
      await collections.remove(name);
      await chats.load();
      const { current } = collections.store.get();
      if (current !== name) router.go({ page: "documents", collection: current });
      else void documents.reload();
    },
  };
}

function isNewChat(route: Route): boolean {
  return route.page === "chat" && route.chatId === null;
}
