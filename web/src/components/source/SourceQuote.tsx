/** The quote as the answer kept it, when the document can no longer show it. */
export function SourceQuote({ title, quote }: { title: string; quote: string }) {
  return (
    <figure className="kept-quote">
      <figcaption>{title}:</figcaption>
      <blockquote dir="auto">{quote}</blockquote>
    </figure>
  );
}
