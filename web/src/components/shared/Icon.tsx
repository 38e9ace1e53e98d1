/** Line icons on a 20 px grid, drawn for this page. Decorative: the control beside them is named. */

const PATHS = {
  add: "M10 4v12M4 10h12",
  alert: "M10 6.5v4.5M10 13.7v.1M10 2.5l8 14.5H2z",
  chat: "M3 4.5h14v9.5H9l-4 3v-3H3z",
  check: "M4 10.5l4 4 8-9",
  chevron: "M6 8l4 4 4-4",
  close: "M5 5l10 10M15 5L5 15",
  document: "M5 2.5h6.5L15 6v11.5H5zM11.5 2.5V6H15M7.5 10h5M7.5 13h5",
  down: "M10 4v12M5.5 11.5L10 16l4.5-4.5",
  folder: "M2.5 5h5l2 2.2h8v8.8h-15z",
  menu: "M3 5.5h14M3 10h14M3 14.5h14",
  none: "M8.5 14a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM12.5 12.5l4.5 4.5M6.5 6.5l4 4M10.5 6.5l-4 4",
  retry: "M15.5 6.5A6.5 6.5 0 1 0 16.5 10M16 3v4h-4",
  search: "M8.5 14a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11zM12.5 12.5l4.5 4.5",
  send: "M10 16V4M4.5 9.5L10 4l5.5 5.5",
  stop: "M6 6h8v8H6z",
  thumbDown:
    "M6.5 11l3 6.2c1.2 0 2-.8 2-2V12h4.3a1.5 1.5 0 0 0 1.5-1.8l-1-5.4a1.5 1.5 0 0 0-1.5-1.3H6.5z" +
    "M6.5 11H3V3.5h3.5",
  thumbUp:
    "M6.5 9l3-6.2c1.2 0 2 .8 2 2V8h4.3a1.5 1.5 0 0 1 1.5 1.8l-1 5.4a1.5 1.5 0 0 1-1.5 1.3H6.5z" +
    "M6.5 9H3v7.5h3.5",
  trash: "M3.5 5.5h13M8 5.5V3.5h4v2M5 5.5l.8 11h8.4l.8-11M8.5 8.5v5M11.5 8.5v5",
  up: "M10 16V4M5.5 8.5L10 4l4.5 4.5",
  upload: "M10 12.5V3M6 7l4-4 4 4M3 12v4.5h14V12",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg className={`icon icon-${name}`} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}
