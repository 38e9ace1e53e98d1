import type { Stage } from "../../api/types";

const SENTENCES: Record<Stage, string> = {
  searching: "Searching your documents",
  reading: "Reading",
  writing: "Writing the answer",
};

type Props = { stage: Stage | null; passages: number | null };

export function stageSentence(stage: Stage | null, passages: number | null): string {
  if (stage === null) return "Sending the question";
  if (stage === "reading" && passages !== null) {
    return `Reading ${passages} ${passages === 1 ? "passage" : "passages"}`;
  }
  return SENTENCES[stage] ?? "Working";
}

/** What happens now. Read out by the Announcer, so hidden from assistive technology here. */
export function StageLine({ stage, passages }: Props) {
  return (
    <p className="stage" aria-hidden="true">
      <span className="stage-dot" />
      {stageSentence(stage, passages)}…
    </p>
  );
}
