/**
 * Everything a person can ask for on a canvas, in one table: toolbar, menus, keys, the list of keys and JupyterLab's
 * commands are made from it. Nothing here knows React or a page; a canvas hands itself in as a `CanvasContext`.
 */

import { newNodeId } from "../model/catalogue";
import { clipOf, pasting, readClip } from "../model/clipboard";
import type { DocumentKeeper } from "../model/documentKeeper";
import type { Editor, Undone } from "../model/editor";
import { isSubflow } from "../model/flow";
import type { Point } from "../model/geometry";
import {
  areFlagged,
  type Flag,
  flagging,
  freePlace,
  GRID_PX,
  isNode,
  layingOut,
  nudging,
  removing,
} from "../model/gestures";
import { portsOf } from "../model/linking";
import { type Direction, firstCard, neighbour } from "../model/spatial";
import type { FlowStore } from "../model/store";
import type { CanvasView } from "../model/view";

/** What a canvas can show; points are those of the flow unless said otherwise. */
export interface Screen {
  /** Show all, or some cards. */
  fit(nodes?: Iterable<string>): void;
  /** Move a card into sight, when it is not; so near, where it matters, that it can be read. */
  reveal(node: string, isToBeRead?: boolean): void;
  zoom(factor: number): void;
  /** Where something new goes: under the pointer, else into the middle. */
  freshPlace(): Point;
  /** Where a card lies in the window, in pixels of it; null when it is not in sight. */
  windowPlace(node: string): Point | null;
  /** Take the keys. */
  focus(): void;
  /** Give the keys back to what is around the canvas. */
  leave(): void;
}

/** Text shared with other programs. */
export interface TextClipboard {
  write(text: string): void;
  read(): Promise<string | null>;
}

/** One canvas, as actions see it. */
export interface CanvasContext {
  readonly store: FlowStore;
  readonly editor: Editor;
  readonly view: CanvasView;
  readonly screen: Screen;
  readonly clipboard: TextClipboard;
  readonly keeper: DocumentKeeper | null;
  /** What the place where the canvas stands adds to the table. */
  readonly hostActions: readonly Action[];
}

/** In which menus and bars an action stands, and where: a line is drawn between groups. */
export type Group = "run" | "edit" | "node" | "clipboard" | "view" | "host" | "move";
export type Place = "node" | "edge" | "ground" | "bar";

export interface Action {
  readonly id: string;
  readonly label: string;
  /** The label where the state says more: "Unmute". */
  readonly labelNow?: (context: CanvasContext) => string;
  /** As they are written: "Ctrl+Shift+Z", "I I". */
  readonly keys: readonly string[];
  readonly group: Group;
  readonly places: readonly Place[];
  /** Its keys are left to the page, which gives the clipboard's text away by an event of its own. */
  readonly isPaste?: true;
  /** Say in words why it cannot be done now; empty when it can. */
  readonly whyNot: (context: CanvasContext) => string;
  /** Do it. What is returned is said: why it came to nothing. */
  readonly run: (context: CanvasContext) => string | undefined;
}

/** Do an action, or say why not. */
export function act(action: Action, context: CanvasContext): void {
  const why = action.whyNot(context) || action.run(context) || "";
  context.view.tell(why);
}

/** All actions of a canvas: the table, and what its place adds. */
export function actionsOf(context: CanvasContext): readonly Action[] {
  return context.hostActions.length ? [...ACTIONS, ...context.hostActions] : ACTIONS;
}

export function actionById(id: string, context: CanvasContext): Action | undefined {
  return actionsOf(context).find((action) => action.id === id);
}

const always = (): string => "";
const editable = ({ editor }: CanvasContext): string => editor.whyNot;

const chosenNodes = ({ store, view }: CanvasContext): readonly string[] =>
  [...view.selection.nodes].filter((id) => isNode(store.card(id)));

const needsNodes = (context: CanvasContext): string =>
  context.editor.whyNot || (chosenNodes(context).length ? "" : "Select a node first.");

/** The node an action is about when it can only be about one. */
const oneNode = ({ store, view }: CanvasContext): string | null => {
  const id = view.selection.primary;
  return id !== null && isNode(store.card(id)) ? id : null;
};

const needsOne = (context: CanvasContext): string =>
  context.editor.whyNot || (oneNode(context) === null ? "Select a node first." : "");

function whyNotInside(context: CanvasContext): string {
  const id = oneNode(context);
  if (id === null) return "Select a node first.";
  if (!isSubflow(context.store.card(id))) return "Nothing is inside: this node is not made from a flow.";
  return context.editor.inside(id) ? "" : "Run a cell of the flow to look inside.";
}

function countStale({ store }: CanvasContext): number {
  let count = 0;
  for (const card of store.state.cards.values()) if (card.stamp === "stale") count += 1;
  return count;
}

function isRunning({ store }: CanvasContext): boolean {
  if (store.state.run?.status === "running") return true;
  for (const card of store.state.cards.values()) if (card.status === "running" || card.status === "queued") return true;
  return false;
}

const RUNNING: readonly Action[] = [
  {
    id: "run",
    label: "Run",
    keys: ["Ctrl+Enter"],
    group: "run",
    places: ["bar", "ground"],
    whyNot: editable,
    run: ({ editor }) => editor.run({}),
  },
  {
    id: "runStale",
    label: "Run stale",
    labelNow: (context) => {
      const count = countStale(context);
      return count ? `Run stale ${count}` : "Run stale";
    },
    keys: ["Space"],
    group: "run",
    places: ["bar", "ground"],
    whyNot: (context) => context.editor.whyNot || (countStale(context) ? "" : "Nothing is stale."),
    run: ({ editor }) => editor.run({ stale: true }),
  },
  {
    id: "runTo",
    label: "Run to here",
    keys: ["Shift+Enter"],
    group: "run",
    places: ["node"],
    whyNot: needsNodes,
    run: (context) => context.editor.run({ to: chosenNodes(context) }),
  },
  {
    id: "runFrom",
    label: "Run from here",
    keys: ["Alt+Enter"],
    group: "run",
    places: ["node"],
    whyNot: needsNodes,
    run: (context) => context.editor.run({ after: chosenNodes(context) }),
  },
  {
    id: "runOnly",
    label: "Run this again",
    keys: ["Ctrl+Shift+Enter"],
    group: "run",
    places: ["node"],
    whyNot: needsNodes,
    run: (context) => context.editor.run({ only: chosenNodes(context), force: true }),
  },
  {
    id: "cancel",
    label: "Stop",
    keys: ["I I"],
    group: "run",
    places: ["bar", "ground"],
    whyNot: (context) => context.editor.whyNot || (isRunning(context) ? "" : "Nothing is running."),
    run: ({ editor }) => editor.cancel(),
  },
];

function flagAction(id: string, flag: Flag, label: string, off: string, keys: readonly string[]): Action {
  return {
    id,
    label,
    labelNow: (context) => (areFlagged(context.store.state, chosenNodes(context), flag) ? off : label),
    keys,
    group: "node",
    places: ["node"],
    whyNot: needsNodes,
    run: (context) => context.editor.perform(flagging(context.store.state, chosenNodes(context), flag)),
  };
}

const NODES: readonly Action[] = [
  {
    id: "open",
    label: "Open",
    keys: ["Enter"],
    group: "node",
    places: ["node"],
    whyNot: ({ view }) => (view.selection.primary === null ? "Select a node first." : ""),
    run: ({ view }) => {
      view.isInspecting.set(!view.isInspecting.now);
      return undefined;
    },
  },
  {
    id: "lookInside",
    label: "Look inside",
    keys: ["O"],
    group: "node",
    places: ["node"],
    whyNot: whyNotInside,
    run: ({ view }) => {
      view.inside.set(view.selection.primary);
      return undefined;
    },
  },
  {
    id: "add",
    label: "Add node",
    keys: ["Tab"],
    group: "edit",
    places: ["bar", "ground"],
    whyNot: editable,
    run: ({ view }) => {
      view.popup.set({ kind: "add", place: null, at: null, from: null });
      return undefined;
    },
  },
  {
    id: "connect",
    label: "Connect",
    keys: ["C"],
    group: "node",
    places: ["node"],
    whyNot: needsOne,
    run: (context) => {
      const node = oneNode(context);
      const card = node === null ? undefined : context.store.card(node);
      if (!card) return undefined;
      const ports = [...portsOf(card, "out"), ...portsOf(card, "in")];
      if (!ports.length) return `${card.id} has no ports yet.`;
      const from = ports.length === 1 ? (ports[0] ?? null) : null;
      const place = context.screen.windowPlace(card.id);
      context.view.popup.set({ kind: "connect", place, node: card.id, from, to: null });
      return undefined;
    },
  },
  {
    id: "rename",
    label: "Rename",
    keys: ["F2"],
    group: "node",
    places: ["node"],
    whyNot: needsOne,
    run: (context) => {
      const node = oneNode(context);
      if (node !== null) context.screen.reveal(node, true);
      context.view.renaming.set(node);
      return undefined;
    },
  },
  flagAction("mute", "muted", "Mute", "Unmute", ["M"]),
  flagAction("bypass", "bypassed", "Bypass", "No longer bypass", ["B"]),
  flagAction("pin", "pinned", "Pin", "Unpin", ["P"]),
  {
    id: "duplicate",
    label: "Duplicate",
    keys: ["Ctrl+D"],
    group: "clipboard",
    places: ["node"],
    whyNot: needsNodes,
    run: (context) => {
      const clip = clipOf(context.store.state, chosenNodes(context), context.editor.background);
      const cards = chosenNodes(context).map((id) => context.store.card(id));
      const at = {
        x: Math.min(...cards.map((card) => card?.x ?? 0)) + 2 * GRID_PX,
        y: Math.min(...cards.map((card) => card?.y ?? 0)) + 2 * GRID_PX,
      };
      return clip ? paste(context, clip, at, true) : undefined;
    },
  },
  {
    id: "remove",
    label: "Delete",
    keys: ["Delete", "Backspace"],
    group: "clipboard",
    places: ["node", "edge"],
    whyNot: ({ editor, view }) => editor.whyNot || (view.selection.isEmpty ? "Select what to delete first." : ""),
    run: ({ editor, store, view }) => {
      const gesture = removing(store.state, view.selection.nodes, view.selection.edges);
      const why = editor.perform(gesture);
      view.selection.retain(store.state.cards, store.state.edges);
      return why;
    },
  },
];

/** What a copy puts on the clipboard; null, with the reason said, when there is nothing to copy. */
export function copyText(context: CanvasContext): string | null {
  const clip = clipOf(context.store.state, context.view.selection.nodes, context.editor.background);
  return clip && JSON.stringify(clip, null, 1);
}

/** Paste a text; it says so when the text is none of ours. */
export function pasteText(context: CanvasContext, text: string | null, keepsSources: boolean): string {
  const clip = text === null ? null : readClip(text);
  if (context.editor.whyNot) return context.editor.whyNot;
  if (!clip) return "There are no nodes on the clipboard.";
  return paste(context, clip, freePlace(context.store.state, context.screen.freshPlace()), keepsSources) ?? "";
}

function paste(
  { store, editor, view, screen }: CanvasContext,
  clip: Parameters<typeof pasting>[1],
  at: Point,
  keepsSources: boolean,
): string | undefined {
  const gesture = pasting(store.state, clip, at, newNodeId, keepsSources);
  const why = editor.perform(gesture);
  if (why) return why;
  view.selection.choose(gesture.ids);
  const [first] = gesture.ids;
  if (first) screen.reveal(first);
  return undefined;
}

function pasteAction(id: string, label: string, keys: readonly string[], keepsSources: boolean): Action {
  return {
    id,
    label,
    keys,
    group: "clipboard",
    places: ["ground"],
    isPaste: true,
    whyNot: editable,
    run: (context) => {
      void context.clipboard.read().then((text) => context.view.tell(pasteText(context, text, keepsSources)));
      return undefined;
    },
  };
}

const CLIPBOARD: readonly Action[] = [
  {
    id: "copy",
    label: "Copy",
    keys: ["Ctrl+C"],
    group: "clipboard",
    places: ["node"],
    whyNot: (context) => (chosenNodes(context).length ? "" : "Select nodes to copy first."),
    run: (context) => {
      const text = copyText(context);
      if (text !== null) context.clipboard.write(text);
      return undefined;
    },
  },
  {
    id: "cut",
    label: "Cut",
    keys: ["Ctrl+X"],
    group: "clipboard",
    places: ["node"],
    whyNot: needsNodes,
    run: (context) => {
      const text = copyText(context);
      if (text === null) return undefined;
      context.clipboard.write(text);
      return context.editor.perform(removing(context.store.state, chosenNodes(context), []));
    },
  },
  pasteAction("paste", "Paste", ["Ctrl+V"], false),
  pasteAction("pasteWired", "Paste with incoming edges", ["Ctrl+Shift+V"], true),
];

/** Undo where the document is kept, when somebody keeps it there; else here. */
function replay(context: CanvasContext, way: "undo" | "redo"): string {
  const { editor, keeper, view } = context;
  if (keeper?.history[way]()) return "";
  const done: Undone = editor[way]();
  if (done.nodes.length) view.selection.choose(done.nodes);
  return done.why;
}

const HISTORY: readonly Action[] = [
  {
    id: "undo",
    label: "Undo",
    labelNow: ({ editor }) => (editor.history.last ? `Undo ${editor.history.last.label}` : "Undo"),
    keys: ["Ctrl+Z"],
    group: "edit",
    places: ["ground"],
    whyNot: (context) =>
      context.editor.whyNot || (context.editor.history.last || context.keeper ? "" : "There is nothing to undo."),
    run: (context) => replay(context, "undo"),
  },
  {
    id: "redo",
    label: "Redo",
    labelNow: ({ editor }) => (editor.history.next ? `Redo ${editor.history.next.label}` : "Redo"),
    keys: ["Ctrl+Shift+Z", "Ctrl+Y"],
    group: "edit",
    places: ["ground"],
    whyNot: (context) =>
      context.editor.whyNot || (context.editor.history.next || context.keeper ? "" : "There is nothing to redo."),
    run: (context) => replay(context, "redo"),
  },
];

const VIEW: readonly Action[] = [
  {
    id: "layout",
    label: "Layout",
    keys: ["L"],
    group: "view",
    places: ["bar", "ground", "node"],
    whyNot: editable,
    run: (context) => {
      const chosen = chosenNodes(context);
      const { state } = context.store;
      return context.editor.perform(layingOut(state, chosen.length ? chosen : state.cards.keys()));
    },
  },
  {
    id: "fit",
    label: "Fit",
    keys: ["."],
    group: "view",
    places: ["bar", "ground"],
    whyNot: always,
    run: ({ screen }) => {
      screen.fit();
      return undefined;
    },
  },
  {
    id: "fitChosen",
    label: "Fit selection",
    keys: ["F"],
    group: "view",
    places: ["node"],
    whyNot: always,
    run: ({ screen, view }) => {
      screen.fit(view.selection.nodes.size ? view.selection.nodes : undefined);
      return undefined;
    },
  },
  zoomAction("zoomIn", "Zoom in", ["+", "="], 1.25),
  zoomAction("zoomOut", "Zoom out", ["-"], 0.8),
  {
    id: "selectAll",
    label: "Select all",
    keys: ["Ctrl+A"],
    group: "view",
    places: ["ground"],
    whyNot: always,
    run: ({ store, view }) => {
      view.selection.choose(store.state.cards.keys(), store.state.edges.keys());
      return undefined;
    },
  },
  {
    id: "menu",
    label: "Menu",
    keys: ["Shift+F10", "ContextMenu"],
    group: "view",
    places: [],
    whyNot: always,
    run: ({ view, screen }) => {
      const node = view.selection.primary;
      const about = node !== null ? "node" : view.selection.edges.size ? "edge" : "ground";
      const place = node === null ? null : screen.windowPlace(node);
      view.popup.set({ kind: "menu", place: place ?? { x: Number.NaN, y: Number.NaN }, about });
      return undefined;
    },
  },
  {
    id: "help",
    label: "Keys",
    keys: ["?"],
    group: "view",
    places: ["ground"],
    whyNot: always,
    run: ({ view }) => {
      view.popup.set({ kind: "help", place: null });
      return undefined;
    },
  },
  {
    id: "escape",
    label: "Select nothing, then leave the canvas",
    keys: ["Escape"],
    group: "view",
    places: [],
    whyNot: always,
    run: ({ view, screen }) => {
      if (view.linking.now) view.linking.set(null);
      else if (view.isInspecting.now) {
        view.isInspecting.set(false);
        screen.focus(); // what had the focus may have gone with it
      } else if (!view.selection.isEmpty) view.selection.choose([]);
      else screen.leave();
      return undefined;
    },
  },
];

function zoomAction(id: string, label: string, keys: readonly string[], factor: number): Action {
  return {
    id,
    label,
    keys,
    group: "view",
    places: [],
    whyNot: always,
    run: ({ screen }) => {
      screen.zoom(factor);
      return undefined;
    },
  };
}

const DIRECTIONS: readonly (readonly [Direction, string, Point])[] = [
  ["up", "Up", { x: 0, y: -GRID_PX }],
  ["down", "Down", { x: 0, y: GRID_PX }],
  ["left", "Left", { x: -GRID_PX, y: 0 }],
  ["right", "Right", { x: GRID_PX, y: 0 }],
];

function go({ store, view, screen }: CanvasContext, direction: Direction, extends_: boolean): undefined {
  const cards = store.state.cards;
  const from = view.selection.primary === null ? undefined : cards.get(view.selection.primary);
  const next = from ? neighbour(cards.values(), from, direction) : firstCard(cards.values());
  if (!next) return undefined;
  if (extends_) view.selection.extend(next.id);
  else view.selection.choose([next.id]);
  screen.reveal(next.id);
  return undefined;
}

const MOVES: readonly Action[] = DIRECTIONS.flatMap(([direction, key, by]): readonly Action[] => [
  {
    id: `go${key}`,
    label: `Select the next node ${whereWords(direction)}`,
    keys: [key],
    group: "move",
    places: [],
    whyNot: always,
    run: (context) => go(context, direction, false),
  },
  {
    id: `extend${key}`,
    label: `Select also the next node ${whereWords(direction)}`,
    keys: [`Shift+${key}`],
    group: "move",
    places: [],
    whyNot: always,
    run: (context) => go(context, direction, true),
  },
  {
    id: `nudge${key}`,
    label: `Move the selection ${direction}`,
    keys: [`Ctrl+${key}`],
    group: "move",
    places: [],
    whyNot: needsNodes,
    run: (context) => {
      const nodes = chosenNodes(context);
      return context.editor.perform(nudging(context.store.state, nodes, by), `nudge ${nodes.join(" ")}`);
    },
  },
]);

function whereWords(direction: Direction): string {
  return { up: "above", down: "below", left: "to the left", right: "to the right" }[direction];
}

/** The table. */
export const ACTIONS: readonly Action[] = [...RUNNING, ...NODES, ...CLIPBOARD, ...HISTORY, ...VIEW, ...MOVES];
