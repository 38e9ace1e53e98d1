/** Every failure the page can show is a Problem: RFC 9457 from the server, or one made here. */

export type ProblemBody = {
  title?: string;
  status?: number;
  detail?: string;
  code?: string;
  hint?: string;
};

export class Problem extends Error {
  override readonly name = "Problem";
  readonly title: string;
  readonly detail: string;
  readonly hint: string | undefined;
  readonly code: string | undefined;
  /** HTTP status, or 0 when no answer came. */
  readonly status: number;

  constructor(body: ProblemBody, status = body.status ?? 0) {
    const title = body.title || (status ? `The server answered ${status}` : "Something went wrong");
    super(body.detail || title);
    this.title = title;
    this.detail = body.detail ?? "";
    this.hint = body.hint;
    this.code = body.code;
    this.status = status;
  }
}

/** A body that may be a problem document, or anything a proxy in between wrote. */
export function problemFromText(text: string, status: number): Problem {
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null) return new Problem(body as ProblemBody, status);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return new Problem({}, status);
}

export async function problemFromResponse(response: Response): Promise<Problem> {
  return problemFromText(await response.text(), response.status);
}

export function unreachable(): Problem {
  return new Problem({
    title: "The server cannot be reached",
    detail: "No answer came from Rostra.",
    hint: "Check that it is running, then try again.",
  });
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Errors of our own code are shown too: a silent page is worse than an ugly sentence. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const detail = error instanceof Error ? error.message : String(error);
  return new Problem({ title: "Something went wrong on this page", detail });
}
