import { type ReactElement, useMemo, useState } from "react";
import { type PortEnd, search } from "../model/catalogue";
import type { Edge } from "../model/flow";
import { edgeId } from "../model/flow";
import { connecting, removing } from "../model/gestures";
import { Linking, portsOf } from "../model/linking";
import { oneLine } from "../model/wording";
import { useCanvas } from "./context";
import { type ListItem, SearchList } from "./SearchList";

/** Draws an edge by choosing: a port of a node, then the port at the other end. What cannot be joined says why. */
export function ConnectPalette(props: {
  readonly node: string;
  readonly from: PortEnd | null;
  /** Only ports of this node are offered. */
  readonly to: string | null;
  readonly onClose: () => void;
}): ReactElement {
  const [from, setFrom] = useState(props.from);
  return from ? (
    <OtherEnd key="other" from={from} to={props.to} onClose={props.onClose} />
  ) : (
    <OwnPort key="own" node={props.node} onChoose={setFrom} onClose={props.onClose} />
  );
}

function OwnPort(props: {
  readonly node: string;
  readonly onChoose: (end: PortEnd) => void;
  readonly onClose: () => void;
}): ReactElement {
  const { store } = useCanvas();
  const card = store.card(props.node);
  const ends = card ? [...portsOf(card, "out"), ...portsOf(card, "in")] : [];
  const key = (end: PortEnd): string => `${end.side}:${end.port}`;
  return (
    <SearchList
      title={`Connect ${props.node}: which port?`}
      placeholder="Name of a port"
      items={(query) =>
        search(ends, query, ({ port, type }) => ({ name: port, more: type })).map((end) => ({
          id: key(end),
          label: end.side === "out" ? `${oneLine(end.port)} →` : `→ ${oneLine(end.port)}`,
          note: end.type,
          detail: end.side === "out" ? "gives" : feedWords(feedOf(store.state.edges.values(), end)),
        }))
      }
      empty="It has no such port."
      onChoose={(item) => {
        const end = ends.find((each) => key(each) === item.id);
        if (end) props.onChoose(end);
      }}
      onClose={props.onClose}
    />
  );
}

const feedWords = (feed: Edge | null): string => (feed ? `reads ${feed.source}` : "reads nothing yet");

function feedOf(edges: Iterable<Edge>, end: PortEnd): Edge | null {
  for (const edge of edges) if (edge.target === end.node && edge.targetPort === end.port) return edge;
  return null;
}

/** Nobody reads on: one types. */
const MOST_LINES = 200;
const DISCONNECT = "disconnect";

function OtherEnd(props: {
  readonly from: PortEnd;
  readonly to: string | null;
  readonly onClose: () => void;
}): ReactElement {
  const { store, editor, view, screen } = useCanvas();
  const { from } = props;
  const linking = useMemo(() => new Linking(store.state, from), [store, from]);
  const candidates = useMemo(
    () => linking.candidates().filter(({ node }) => !props.to || node === props.to),
    [linking, props.to],
  );
  const feed = from.side === "in" ? feedOf(store.state.edges.values(), from) : null;
  const key = (end: PortEnd): string => `${end.node}.${end.port}`;

  const items = (query: string): readonly ListItem[] => {
    const matching = search(candidates, query, (end) => ({ name: key(end), more: end.type }));
    const found = matching.slice(0, MOST_LINES).map((end) => ({
      id: key(end),
      label: key(end),
      note: end.type,
      isOff: end.why !== "",
      detail: end.why,
    }));
    if (!feed || query) return found;
    return [{ id: DISCONNECT, label: `Disconnect from ${feed.source}`, note: feed.type }, ...found];
  };
  const choose = (item: ListItem): void => {
    const end = candidates.find((each) => key(each) === item.id);
    const { state } = store;
    const why =
      item.id === DISCONNECT && feed
        ? editor.perform(removing(state, [], [edgeId(feed)]))
        : end
          ? editor.perform(connecting(state, linking.ends(end.node, end.port)))
          : "";
    props.onClose();
    view.tell(why);
  };
  return (
    <SearchList
      title={from.side === "out" ? `Connect ${key(from)} to` : `Connect to ${key(from)}`}
      placeholder="Name of a node or port"
      items={items}
      empty="There is nothing to connect it to."
      onChoose={choose}
      onClose={props.onClose}
      onActive={(item) => {
        const end = candidates.find((each) => key(each) === item?.id);
        if (end) screen.reveal(end.node);
        view.pointed.set(end?.node ?? null);
      }}
    />
  );
}
