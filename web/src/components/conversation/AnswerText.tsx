import { Fragment } from "react";
import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { type AnswerPiece, sourceKey } from "../../text/answer";
import { CitationMarker } from "./CitationMarker";

type Props = { pieces: AnswerPiece[]; writing: boolean };

/** The answer as plain text with its markers. The claim of the open source is lit. */
export function AnswerText({ pieces, writing }: Props) {
  const open = useStore(useApp().source.store);
  const span = open?.target.span;
  const openKey = open && span ? sourceKey({ document_id: open.target.documentId, ...span }) : null;
  const markers = pieces.flatMap((piece) => piece.markers);
  const lit = markers.find((source) => sourceKey(source.citation) === openKey)?.number;
  let offset = 0;
  return (
    <div className="answer-text" data-writing={writing || undefined} dir="auto">
      {pieces.map((piece) => {
        const key = offset;
        offset += piece.text.length;
        return (
          <Fragment key={key}>
            <span
              className={piece.citedBy.length > 0 ? "claim" : undefined}
              data-lit={(lit !== undefined && piece.citedBy.includes(lit)) || undefined}
            >
              {piece.text}
            </span>
            {piece.markers.map((source) => (
              <CitationMarker key={source.number} source={source} open={source.number === lit} />
            ))}
          </Fragment>
        );
      })}
    </div>
  );
}
