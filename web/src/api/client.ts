/** The server's surface as functions. The state modules take a Client, so tests can hand in another. */

import { ask } from "./ask";
import { address, getJson, postJson, putJson, remove } from "./http";
import type {
  Chat,
  ChatDetail,
  Collection,
  DocumentDetail,
  DocumentInfo,
  Job,
  Page,
  Rating,
  ServerStatus,
  TextWindow,
} from "./types";
import { uploadFiles } from "./upload";

export type PageRequest = { limit: number; offset: number };

export type JobChange = "cancel" | "pause" | "resume";

export const client = {
  status: () => getJson<ServerStatus>("/api/status"),

  collections: (page: PageRequest) =>
    getJson<Page<Collection>>(address(["api", "collections"], page)),
  createCollection: (name: string, description: string) =>
    postJson<Collection>("/api/collections", { name, ...(description ? { description } : {}) }),
  deleteCollection: (name: string) => remove(address(["api", "collections", name])),

  documents: (collection: string, page: PageRequest & { q: string }, signal: AbortSignal) =>
    getJson<Page<DocumentInfo>>(
      address(["api", "collections", collection, "documents"], page),
      signal,
    ),
  document: (id: string, signal: AbortSignal) =>
    getJson<DocumentDetail>(address(["api", "documents", id]), signal),
  documentText: (id: string, range: { start: number; end: number }, signal: AbortSignal) =>
    getJson<TextWindow>(address(["api", "documents", id, "text"], range), signal),
  deleteDocument: (id: string) => remove(address(["api", "documents", id])),

  uploadFiles,
  job: (id: string) => getJson<Job>(address(["api", "jobs", id])),
  openJobs: () =>
    getJson<Page<Job>>("/api/jobs?status=queued&status=running&status=paused&limit=100"),
  changeJob: (id: string, change: JobChange) =>
    postJson<Job>(address(["api", "jobs", id, change]), {}),

  ask,

  chats: (page: PageRequest) => getJson<Page<Chat>>(address(["api", "chats"], page)),
  chat: (id: string, signal: AbortSignal) =>
    getJson<ChatDetail>(address(["api", "chats", id]), signal),
  rate: (chatId: string, messageId: string, rating: Rating) =>
    putJson<Rating>(address(["api", "chats", chatId, "messages", messageId, "rating"]), rating),
  unrate: (chatId: string, messageId: string) =>
    remove(address(["api", "chats", chatId, "messages", messageId, "rating"])),
  deleteChat: (id: string) => remove(address(["api", "chats", id])),
};

export type Client = typeof client;
