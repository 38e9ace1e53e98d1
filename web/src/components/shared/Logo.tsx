/** Quotation marks standing on the speaker's platform. */
export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect className="logo-ground" width="32" height="32" rx="8" />
      <path
        className="logo-mark"
        d="M8 15.5c0-4 2-6.5 5.5-7.5l.7 1.9c-2 .8-3 2-3.1 3.6h2.9V19H8zm9.5 0c0-4 2-6.5 5.5-7.5l.7 1.9c-2 .8-3 2-3.1 3.6h2.9V19h-6z"
      />
      <rect className="logo-stage" x="7" y="22" width="18" height="2.5" rx="1.25" />
    </svg>
  );
}
