/** An edge that is being drawn: which ports it can end at, and why not at the others. */

import type { PortEnd } from "./catalogue";
import type { Card, Edge } from "./flow";
import { edgeId } from "./flow";
import { isNode } from "./gestures";
import type { Ends } from "./operations";
import type { FlowState } from "./state";
import { readersOf, whyNotConnect } from "./wiring";

/** How a port stands to an edge that is being drawn. */
export type LinkMark = "from" | "open" | "closed";

export class Linking {
  readonly from: PortEnd;
  /** The edge whose one end is led elsewhere; null when a new one is drawn. */
  readonly moved: Edge | null;
  readonly #state: FlowState;
  readonly #readers: ReadonlyMap<string, readonly string[]>;
  readonly #reasons = new Map<string, string>();

  constructor(state: FlowState, from: PortEnd, moved: Edge | null = null) {
    this.from = from;
    this.moved = moved;
    const edges = new Map(state.edges);
    if (moved) edges.delete(edgeId(moved));
    this.#state = { ...state, edges };
    this.#readers = readersOf(this.#state);
  }

  /** The edge that would be drawn to a port of a node. */
  ends(node: string, port: string): Ends {
    const { from } = this;
    return from.side === "out"
      ? { source: from.node, sourcePort: from.port, target: node, targetPort: port }
      : { source: node, sourcePort: port, target: from.node, targetPort: from.port };
  }

  /** Say in words why the edge cannot end at a port; empty when it can. */
  whyNot(node: string, side: "in" | "out", port: string): string {
    if (side === this.from.side) {
      return side === "in" ? "an edge ends at an output and at an input: this is an input too" : OUTPUT_TOO;
    }
    const key = JSON.stringify([node, port]);
    let why = this.#reasons.get(key);
    if (why === undefined) {
      why = whyNotConnect(this.#state, this.ends(node, port), this.#readers);
      this.#reasons.set(key, why);
    }
    return why;
  }

  mark(node: string, side: "in" | "out", port: string): LinkMark {
    if (node === this.from.node && side === this.from.side && port === this.from.port) return "from";
    return this.whyNot(node, side, port) ? "closed" : "open";
  }

  /** Every port the edge could end at, with why not; the open ones first, of these those of its type, and inputs before settings. */
  candidates(): readonly Candidate[] {
    const side = this.from.side === "out" ? "in" : "out";
    const found = [...this.#state.cards.values()].flatMap((card) =>
      card.id === this.from.node || !isNode(card)
        ? []
        : portsOf(card, side).map((end) => ({ ...end, why: this.whyNot(card.id, side, end.port) })),
    );
    const isSetting = ({ node, port }: Candidate): boolean =>
      side === "in" && !this.#state.cards.get(node)?.inputs.some(({ name }) => name === port);
    const rank = (end: Candidate): number =>
      end.why ? 4 : (end.type === this.from.type ? 0 : 2) + (isSetting(end) ? 1 : 0);
    return found.sort((one, other) => rank(one) - rank(other));
  }

  /** The ports of one node that are open to the edge. */
  openPorts(node: string): readonly PortEnd[] {
    return this.candidates().filter((end) => end.node === node && !end.why);
  }
}

const OUTPUT_TOO = "an edge ends at an output and at an input: this is an output too";

export interface Candidate extends PortEnd {
  readonly why: string;
}

/** The ports of one side of a card; settings take edges like inputs. */
export function portsOf(card: Card, side: "in" | "out"): readonly PortEnd[] {
  const ends = (ports: readonly { readonly name: string; readonly type: string }[]): PortEnd[] =>
    ports.map(({ name, type }) => ({ node: card.id, port: name, side, type }));
  if (side === "out") return ends(card.outputs);
  return [...ends(card.inputs), ...ends(card.settings.map(({ name, control }) => ({ name, type: typeOf(control) })))];
}

const typeOf = (control: string): string => (control === "text" ? "text" : "scalar");

/** The port of a card by its name; null when it has none. */
export function portEnd(card: Card | undefined, side: "in" | "out", port: string): PortEnd | null {
  return (card && portsOf(card, side).find((end) => end.port === port)) ?? null;
}
