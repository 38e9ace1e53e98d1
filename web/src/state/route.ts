/** The page's addresses: `/`, `/chat/<id>`, `/collections/<name>`. Anything else is `/`. */

export type Route =
  | { page: "chat"; chatId: string | null }
  | { page: "documents"; collection: string };

export function parseRoute(path: string): Route {
  const [first, second, ...rest] = path.split("/").filter(Boolean).map(decode);
  if (second && rest.length === 0) {
    if (first === "chat") return { page: "chat", chatId: second };
    if (first === "collections") return { page: "documents", collection: second };
  }
  return { page: "chat", chatId: null };
}

export function routePath(route: Route): string {
  if (route.page === "documents") return `/collections/${encodeURIComponent(route.collection)}`;
  return route.chatId ? `/chat/${encodeURIComponent(route.chatId)}` : "/";
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
