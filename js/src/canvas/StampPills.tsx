import type { ReactElement } from "react";
import { type Look, pills } from "../model/looks";

/** The words a card or a span bears, each on the wash of its state. */
export function StampPills(props: {
  readonly item: { readonly status: string; readonly stamp: string | null };
  readonly isLive: boolean;
}): ReactElement {
  return (
    <>
      {pills(props.item, props.isLive).map((look: Look) => (
        <span className="fb-pill" data-fb-ink={look.ink} key={look.word}>
          {look.word}
        </span>
      ))}
    </>
  );
}
