import { type ReactElement, useMemo } from "react";
import { meetingPort, meetingTypes, newNodeId, type PortEnd, searchTypes } from "../model/catalogue";
import type { Point } from "../model/geometry";
import { adding, freePlace } from "../model/gestures";
import type { Ends } from "../model/operations";
import { oneLine } from "../model/wording";
import { useCanvas } from "./context";
import { type ListItem, SearchList } from "./SearchList";

/** Finds a node type by its name and adds a node of it, joined to the port an edge was drawn from. */
export function AddPalette(props: {
  readonly at: Point | null;
  readonly from: PortEnd | null;
  readonly onClose: () => void;
}): ReactElement {
  const { editor, store, view, screen } = useCanvas();
  const { at, from } = props;
  const types = useMemo(() => (from ? meetingTypes(editor.types, from) : editor.types), [editor, from]);
  // Where the new node goes is decided when the list opens, not where the pointer is when a line of it is chosen.
  const place = useMemo(() => at ?? screen.freshPlace(), [at, screen]);

  const add = ({ id: typeId }: ListItem): void => {
    const entry = types.find((type) => type.typeId === typeId);
    if (!entry) return;
    const node = newNodeId(entry.typeId, (id) => store.state.cards.has(id));
    const why = editor.perform(adding(entry, node, freePlace(store.state, place), from && endsOf(from, node, entry)));
    props.onClose();
    view.tell(why);
    if (why) return;
    view.selection.choose([node]);
    screen.reveal(node);
    screen.focus();
  };
  return (
    <SearchList
      title={from ? `Add a node for ${from.node}.${from.port}` : "Add a node"}
      placeholder="Name of a node type"
      items={(query) =>
        searchTypes(types, query).map(({ typeId, label, doc }) => ({
          id: typeId,
          label: oneLine(label),
          note: label === typeId ? undefined : oneLine(typeId),
          detail: oneLine(doc.split("\n")[0] ?? ""),
        }))
      }
      empty={
        from && !types.length ? `No node type takes ${from.side === "out" ? "a" : "or gives a"} ${from.type}.` : EMPTY
      }
      onChoose={add}
      onClose={props.onClose}
    />
  );
}

const EMPTY = "No node type has that name. Nodes of your own are made by %%node cells.";

function endsOf(from: PortEnd, node: string, entry: Parameters<typeof meetingPort>[0]): Ends | null {
  const port = meetingPort(entry, from);
  if (port === null) return null;
  return from.side === "out"
    ? { source: from.node, sourcePort: from.port, target: node, targetPort: port }
    : { source: node, sourcePort: port, target: from.node, targetPort: from.port };
}
