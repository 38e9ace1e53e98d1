/** What a citation, a passage or a document opens as a source. */

import type { Citation, DocumentInfo, Passage } from "../../api/types";
import type { SourceTarget } from "../../state/source";

export function citationTarget(citation: Citation): SourceTarget {
  return {
    documentId: citation.document_id,
    title: documentName(citation),
    uri: citation.uri,
    page: citation.page,
    span: { start: citation.start, end: citation.end },
    quote: citation.quote,
  };
}

export function passageTarget(passage: Passage): SourceTarget {
  return {
    documentId: passage.document_id,
    title: documentName(passage),
    uri: passage.uri,
    page: passage.page,
    span: { start: passage.start, end: passage.end },
    quote: null,
  };
}

export function documentTarget(document: DocumentInfo): SourceTarget {
  return {
    documentId: document.id,
    title: documentName(document),
    uri: document.uri,
    page: null,
    span: null,
    quote: null,
  };
}

/** The title, or where there is none the last part of the address. */
export function documentName(document: { title?: string | null; uri: string }): string {
  return document.title || (document.uri.split(/[\\/]/).filter(Boolean).at(-1) ?? document.uri);
}
