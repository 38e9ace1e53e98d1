import { describe, expect, it } from "vitest";
import { parseRoute, type Route, routePath } from "../src/state/route";

describe("routes", () => {
  it.each<Route>([
    { page: "chat", chatId: null },
    { page: "chat", chatId: "0190-abc" },
    { page: "documents", collection: "notes" },
    { page: "documents", collection: "a/b c%?#é" },
  ])("survive the address bar: %j", (route) => {
    expect(parseRoute(routePath(route))).toEqual(route);
  });

  it.each(["/nowhere", "/chat", "/chat/1/2", "/collections", "//"])(
    "treat %s as a new chat",
    (path) => {
      expect(parseRoute(path)).toEqual({ page: "chat", chatId: null });
    },
  );

  it("does not fail on a broken escape", () => {
    expect(parseRoute("/chat/%zz")).toEqual({ page: "chat", chatId: "%zz" });
  });
});
