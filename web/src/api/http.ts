/** One way to call the server: JSON in, JSON out, every failure a Problem (aborts stay aborts). */

import { isAbort, Problem, problemFromResponse, unreachable } from "./problem";

export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (isAbort(error)) throw error;
    throw unreachable();
  }
  if (!response.ok) throw await problemFromResponse(response);
  return response;
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await send(path, {
    headers: { Accept: "application/json" },
    ...(signal ? { signal } : {}),
  });
  return readJson<T>(response);
}

export const postJson = <T>(path: string, body: unknown) => sendJson<T>("POST", path, body);

export const putJson = <T>(path: string, body: unknown) => sendJson<T>("PUT", path, body);

async function sendJson<T>(method: string, path: string, body: unknown): Promise<T> {
  const response = await send(path, {
    method,
    headers: { Accept: "application/json", "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return readJson<T>(response);
}

export async function remove(path: string): Promise<void> {
  await send(path, { method: "DELETE" });
}

/** `/a/{x}?y=z` with every part escaped; undefined and empty parameters are left out. */
export function address(
  segments: string[],
  query: Record<string, string | number | undefined> = {},
): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const search = parameters.size > 0 ? `?${parameters}` : "";
  return `/${segments.map(encodeURIComponent).join("/")}${search}`;
}

export async function readJson<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem({
      title: "The server's answer cannot be read",
      detail: "It is not JSON.",
      hint: "Is this page served by another program than Rostra?",
    });
  }
}
