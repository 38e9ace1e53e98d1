/** The shapes of Rostra's REST surface. Every offset counts Unicode code points. */

export type Page<T> = { items: T[]; total: number };

export type Collection = {
  id: string;
  name: string;
  description: string | null;
  documents: number;
  chunks: number;
  generation: number;
  embedding: { model: string; dimensions: number };
  created_at: string;
  updated_at: string;
};

export type DocumentInfo = {
  id: string;
  collection: string;
  uri: string;
  title: string;
  media_type: string;
  bytes: number;
  chunks: number;
  metadata: Record<string, string | number | boolean | null>;
  created_at: string;
  updated_at: string;
};

export type SpanKind = "heading" | "page" | "table" | "row" | "code" | "paragraph" | "list_item";

/** A part of a document's text; `level` is a heading's level or a page's number. */
export type Span = { kind: SpanKind; start: number; end: number; level: number };

export type DocumentDetail = DocumentInfo & { length: number; spans: Span[] };

export type TextWindow = {
  document_id: string;
  start: number;
  end: number;
  length: number;
  text: string;
};

export type FileFailure = { uri: string; error: string };

export type JobStatus = "queued" | "running" | "paused" | "succeeded" | "failed" | "cancelled";

export type Job = {
  id: string;
  kind: string;
  collection: string;
  /** What is read, in a few words. */
  source: string;
  status: JobStatus;
  progress: { done: number; total: number; chunks: number };
  result: null | {
    documents: number;
    chunks: number;
    unchanged: number;
    failed: FileFailure[];
    seconds: number;
  };
  error: string | null;
};

export type Passage = {
  document_id: string;
  uri: string;
  title: string;
  start: number;
  end: number;
  page: number | null;
  score: number;
  /** Ids of other chunks that say nearly the same and were left out for this one. */
  near_duplicates?: string[];
};

/** `start`/`end` lie in the document, `answer_start`/`answer_end` in the answer. */
export type Citation = {
  document_id: string;
  uri: string;
  title?: string | null;
  start: number;
  end: number;
  page: number | null;
  quote: string;
  answer_start?: number | null;
  answer_end?: number | null;
};

export type AnswerMode = "quote" | "generate" | "agent";

export type Stage = "searching" | "reading" | "writing";

export type FinishedAnswer = {
  answer: string;
  mode: AnswerMode;
  found: boolean;
  citations: Citation[];
  timings_ms: Record<string, number>;
  chat_id: string;
  message_id: string;
};

export type AskEvent =
  | { type: "status"; stage: Stage }
  | { type: "passages"; passages: Passage[] }
  | { type: "delta"; text: string }
  | { type: "citation"; citation: Citation }
  | { type: "done"; answer: FinishedAnswer };

export type Chat = {
  id: string;
  title: string | null;
  collection: string;
  messages: number;
  created_at: string;
  updated_at: string;
};

export type RatingValue = "up" | "down";

/** What somebody thinks of an answer; `note` is empty where they gave no reason. */
export type Rating = { value: RatingValue; note: string };

export type Turn = {
  id: string;
  role: "user" | "assistant";
  text: string;
  mode: AnswerMode | null;
  found: boolean | null;
  citations: Citation[];
  created_at: string;
  rating: Rating | null;
};

export type ChatDetail = Chat & { turns: Turn[] };

export type DecoderStatus = {
  name: string;
  state: "idle" | "loading" | "ready" | "failed" | "closed";
  progress: number;
  failure: string | null;
  architecture: string | null;
  dtype: string | null;
  weights: string;
  device: string | null;
  context: number | null;
  weight_bytes: number | null;
  kv_bytes: number | null;
};

/** The small model that comes with Rostra; it loads when it is first needed. */
export type ReaderStatus = {
  name: string;
  answers: boolean;
  state: "idle" | "loading" | "ready" | "failed" | "closed";
  failure: string | null;
  hint: string | null;
};

export type ServerStatus = {
  version: string;
  mode: "quote" | "generate";
  embedding_model: string;
  dimensions: number;
  device: string;
  generator: string | null;
  agents: string | null;
  reader: ReaderStatus | null;
  decoder: DecoderStatus | null;
  reranker: string | null;
  collections: number;
};
