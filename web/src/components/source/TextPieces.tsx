import { Fragment } from "react";
import type { TextPiece } from "../../text/passage";

/** Document text as text nodes. The page label is drawn by CSS, so it is never part of the text. */
export function TextPieces({ pieces }: { pieces: TextPiece[] }) {
  return pieces.map((piece) => (
    <Fragment key={piece.start}>
      {piece.page !== null && <span className="page-start" data-page={`Page ${piece.page}`} />}
      <span className={`text-${piece.style}`}>{piece.text}</span>
    </Fragment>
  ));
}
