import { describe, expect, it } from "vitest";
import {
  formatAlike,
  formatBytes,
  formatCount,
  formatMediaType,
  formatWhen,
} from "../src/text/format";

describe("formats", () => {
  it("counts", () => {
    expect([formatCount(0, "file"), formatCount(1, "file"), formatCount(1700, "file")]).toEqual([
      "0 files",
      "1 file",
      "1,700 files",
    ]);
  });

  it("tells of others like it", () => {
    expect([0, 1, 1200].map(formatAlike)).toEqual([
      "",
      "and 1 more like this",
      "and 1,200 more like this",
    ]);
  });

  it("sizes", () => {
    expect([0, 999, 1000, 15_400, 2_500_000].map(formatBytes)).toEqual([
      "0 B",
      "999 B",
      "1.0 KB",
      "15 KB",
      "2.5 MB",
    ]);
  });

  it("names media types, unknown ones by their subtype", () => {
    expect(
      ["application/pdf", "text/html; charset=utf-8", "text/x-python"].map(formatMediaType),
    ).toEqual(["PDF", "HTML", "python"]);
  });

  it("tells times from the distance to now", () => {
    const now = new Date("2026-05-10T12:00:00Z");
    expect(formatWhen("2026-05-10T11:59:30Z", now)).toBe("just now");
    expect(formatWhen("2026-05-10T12:00:05Z", now)).toBe("just now");
    expect(formatWhen("2026-05-09T12:00:00Z", now)).toBe("yesterday");
    expect(formatWhen("not a date", now)).toBe("");
  });
});
