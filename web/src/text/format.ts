/** Numbers, sizes and times as people read them, in the browser's language where that is safe. */

const WHOLE = new Intl.NumberFormat("en");

export function formatCount(count: number, one: string, many = `${one}s`): string {
  return `${WHOLE.format(count)} ${count === 1 ? one : many}`;
}

export function formatNumber(value: number): string {
  return WHOLE.format(value);
}

/** What stands beside one of several that say nearly the same; empty where there are no others. */
export function formatAlike(others: number): string {
  return others > 0 ? `and ${WHOLE.format(others)} more like this` : "";
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

export function formatMilliseconds(milliseconds: number): string {
  return milliseconds < 1000
    ? `${Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(1)} s`;
}

const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "short" });
const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });

/** "just now", "5 min. ago", "yesterday", then the date. */
export function formatWhen(iso: string, now: Date = new Date()): string {
  const then = new Date(iso);
  const seconds = (then.getTime() - now.getTime()) / 1000;
  if (Number.isNaN(seconds)) return "";
  if (seconds > -60) return "just now";
  if (seconds > -3600) return RELATIVE.format(Math.ceil(seconds / 60), "minute");
  if (seconds > -86400) return RELATIVE.format(Math.ceil(seconds / 3600), "hour");
  if (seconds > -7 * 86400) return RELATIVE.format(Math.ceil(seconds / 86400), "day");
  return DAY.format(then);
}

const KINDS: Record<string, string> = {
  "application/pdf": "PDF",
  "application/json": "JSON",
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
  "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PPTX",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "XLSX",
  "application/epub+zip": "EPUB",
  "application/rtf": "RTF",
  "application/vnd.ms-outlook": "E-mail",
  "application/x-ipynb+json": "Notebook",
  "message/rfc822": "E-mail",
  "text/csv": "CSV",
  "text/html": "HTML",
  "text/markdown": "Markdown",
  "text/plain": "Text",
};

/** A short name for a media type: "PDF", "Markdown", else its subtype. */
export function formatMediaType(mediaType: string): string {
  const bare = mediaType.split(";")[0]?.trim() ?? mediaType;
  return KINDS[bare] ?? (bare.split("/")[1] ?? bare).replace(/^x-/, "");
}
