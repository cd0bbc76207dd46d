import type { ReactElement } from "react";
import { cardRect, groupWashes } from "../model/geometry";
import type { FlowState } from "../model/state";
import { oneLine, plain } from "../model/wording";

/** What lies on the ground below the cards: washes behind nodes that ran as one, and notes. */
export function Ground({ state }: { readonly state: FlowState }): ReactElement {
  return (
    <>
      {state.groups.map((group) => (
        <Washes key={`${group.title} ${group.nodes.join()}`} title={group.title} nodes={group.nodes} state={state} />
      ))}
      {state.notes.map((note) => (
        <div
          className="fb-note"
          key={`${note.x} ${note.y} ${note.text}`}
          style={{ zIndex: -1, left: note.x, top: note.y }}
        >
          {plain(note.text)}
        </div>
      ))}
    </>
  );
}

function Washes(props: {
  readonly title: string;
  readonly nodes: readonly string[];
  readonly state: FlowState;
}): ReactElement {
  const members: ReturnType<typeof cardRect>[] = [];
  const strangers: ReturnType<typeof cardRect>[] = [];
  for (const [id, card] of props.state.cards) (props.nodes.includes(id) ? members : strangers).push(cardRect(card));
  return (
    <>
      {groupWashes(members, strangers).map(({ left, top, right, bottom }, index) => (
        <div
          className="fb-wash"
          key={`${left} ${top}`}
          style={{ zIndex: -1, left, top, width: right - left, height: bottom - top }}
        >
          {index === 0 && <div className="fb-wash-title">{oneLine(props.title)}</div>}
        </div>
      ))}
    </>
  );
}
