/** Badges at the top right of cells: the state of the nodes a cell defines, and the way to them on the canvas. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import type { NotebookPanel } from "@jupyterlab/notebook";
import { type PanelLayout, Widget } from "@lumino/widgets";
import { type Badge, badgeOf } from "../model/badge";
import { FlowStore } from "../model/store";
import { NODE_MIME } from "../protocol/bundles";
import { readCanvas, readNode } from "../protocol/reading";
import { goToNode } from "./goTo";
import { bundlesOf, type CellWidget, type DefinedNode, definedIn, heldBy } from "./OpenNotebooks";
import type { NotebookFlows } from "./tokens";

/** More nodes of one cell than this are counted, not shown. */
const MOST_NODES = 4;

export class CellBadges {
  readonly #app: JupyterFrontEnd;
  readonly #flows: NotebookFlows;
  readonly #byCell = new Map<CellWidget, CellBadge>();
  readonly #recorded = new WeakMap<object, FlowStore>();
  #isShown = true;

  constructor(app: JupyterFrontEnd, flows: NotebookFlows) {
    this.#app = app;
    this.#flows = flows;
    flows.notebooks.onChange.add(() => this.#update());
    this.#update();
  }

  set isShown(isShown: boolean) {
    this.#isShown = isShown;
    this.#update();
  }

  #update(): void {
    const wanted = new Map<CellWidget, readonly FoundNode[]>();
    for (const panel of this.#isShown ? this.#flows.notebooks.panels : []) {
      for (const cell of panel.content.widgets) {
        const found = this.#nodesOf(panel, cell);
        if (found.length) wanted.set(cell, found);
      }
    }
    for (const [cell, badge] of [...this.#byCell]) {
      if (wanted.has(cell) && !badge.isDisposed) continue;
      badge.dispose();
      this.#byCell.delete(cell);
    }
    for (const [cell, nodes] of wanted) this.#badge(cell).showNodes(nodes);
  }

  #badge(cell: CellWidget): CellBadge {
    let badge = this.#byCell.get(cell);
    if (!badge) {
      badge = new CellBadge(cell, (panel, flow, node) => void goToNode(this.#app, this.#flows, panel, flow, node));
      this.#byCell.set(cell, badge);
    }
    return badge;
  }

  #nodesOf(panel: NotebookPanel, cell: CellWidget): readonly FoundNode[] {
    const defined = definedIn(cell);
    if (!defined.length) return [];
    const told = new Map(bundlesOf(cell, NODE_MIME).map((bundle) => [String(bundle["node"]), readNode(bundle)]));
    return defined.flatMap((node) => {
      const store = this.#storeOf(panel, node);
      const flow = node.flow ?? store?.flow;
      return flow === undefined ? [] : [{ panel, flow, node: node.node, store, told: told.get(node.node) ?? null }];
    });
  }

  /** The flow of a node: as its kernel knows it, else as the notebook recorded it. */
  #storeOf(panel: NotebookPanel, { flow, node }: DefinedNode): FlowStore | null {
    const { controls, notebooks } = this.#flows;
    const { links } = controls.of(panel).client;
    const live = links.find(({ store }) => (flow === null || store.flow === flow) && store.card(node));
    if (live) return live.store;
    const names = flow === null ? panel.content.widgets.flatMap((cell) => heldBy(cell) ?? []) : [flow];
    for (const name of names) {
      const bundle = notebooks.recorded(panel, name);
      if (typeof bundle !== "object" || bundle === null) continue;
      const store = this.#recorded.get(bundle) ?? recordedStore(bundle);
      if (!store) continue;
      this.#recorded.set(bundle, store);
      if (store.card(node)) return store;
    }
    return null;
  }
}

interface FoundNode {
  readonly panel: NotebookPanel;
  readonly flow: string;
  readonly node: string;
  readonly store: FlowStore | null;
  readonly told: ReturnType<typeof readNode>;
}

function recordedStore(bundle: object): FlowStore | null {
  const snapshot = readCanvas(bundle);
  return snapshot && FlowStore.recorded(snapshot);
}

/** The badge of one cell; it goes with its input, and comes again when the cell is drawn again. */
class CellBadge extends Widget {
  readonly #cell: CellWidget;
  readonly #go: (panel: NotebookPanel, flow: string, node: string) => void;
  #nodes: readonly FoundNode[] = [];
  #stops: readonly (() => void)[] = [];
  #drawn = "";
  #frame = 0;
  /** The cell got another width, or JupyterLab's tools, which stand in the same corner. */
  readonly #room = new ResizeObserver(() => this.#fit());
  readonly #company = new MutationObserver(() => this.#fit());

  constructor(cell: CellWidget, go: (panel: NotebookPanel, flow: string, node: string) => void) {
    super();
    this.#cell = cell;
    this.#go = go;
    this.addClass("fb-root");
    this.addClass("fb-badge");
    this.node.setAttribute("data-lm-suppress-shortcuts", "true");
    this.node.addEventListener("mousedown", (event) => event.stopPropagation()); // choosing the cell is not meant
    this.node.addEventListener("click", (event) => this.#clicked(event));
    void cell.ready.then(() => {
      const area = cell.inputArea;
      if (this.isDisposed || cell.isDisposed || !area) return;
      (area.layout as PanelLayout).addWidget(this as Widget);
      this.#room.observe(area.node);
      this.#company.observe(area.node, { childList: true });
      this.#company.observe(cell.node, { attributeFilter: ["class"] });
    });
  }

  showNodes(nodes: readonly FoundNode[]): void {
    const isSame =
      nodes.length === this.#nodes.length && nodes.every((node, place) => isSameNode(node, this.#nodes[place]));
    if (!isSame) {
      this.#stop();
      const draw = (): void => this.#draw();
      this.#stops = nodes.flatMap(({ store, node }) =>
        store ? [store.onCard(node, draw), store.onTopology.add(draw), store.onConnection.add(draw)] : [],
      );
    }
    this.#nodes = nodes;
    this.#draw();
  }

  override dispose(): void {
    this.#stop();
    this.#room.disconnect();
    this.#company.disconnect();
    cancelAnimationFrame(this.#frame);
    super.dispose();
  }

  #stop(): void {
    for (const stop of this.#stops) stop();
    this.#stops = [];
  }

  #draw(): void {
    const badges = this.#nodes.flatMap(({ node, store, told }) => {
      const badge = badgeOf(node, store?.state ?? null, told, store?.isLive ?? false);
      return badge ? [badge] : [];
    });
    const drawn = JSON.stringify(badges);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      const shown = badges.slice(0, MOST_NODES).map((badge) => drawBadge(badge, badges.length === 1));
      if (badges.length > MOST_NODES)
        shown.push(element("span", "fb-badge-more", `${badges.length - MOST_NODES} more`));
      this.node.replaceChildren(...shown);
    }
    this.#fit();
  }

  #clicked(event: MouseEvent): void {
    const button = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-fb-node]") : null;
    const found = this.#nodes.find(({ node }) => node === button?.dataset["fbNode"]);
    event.stopPropagation();
    if (found) this.#go(found.panel, found.flow, found.node);
  }

  /**
   * Say less where the first line of the cell reaches as far; stand at the foot of the cell where even that is too much,
   * and below its text where the last line reaches as far, too.
   */
  #fit(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => {
      const lines = this.#cell.node.querySelectorAll(".cm-line");
      const [first, last] = [lines[0], lines[lines.length - 1]];
      if (!this.isAttached || !first || !last) return;
      const ends = { whole: endOf(first), short: endOf(first), low: endOf(last), under: Number.NEGATIVE_INFINITY };
      for (const [fit, end] of Object.entries(ends)) {
        this.node.dataset["fbFit"] = fit;
        if (this.node.getBoundingClientRect().left >= end) break;
      }
    });
  }
}

/** Where the text of a line ends, and a little room after it. */
function endOf(line: Element): number {
  const range = document.createRange();
  range.selectNodeContents(line);
  return range.getBoundingClientRect().right + 12;
}

function isSameNode(one: FoundNode, other: FoundNode | undefined): boolean {
  return one.node === other?.node && one.flow === other.flow && one.store === other.store;
}

function drawBadge(badge: Badge, isOnly: boolean): HTMLElement {
  const button = element("button", "fb-badge-node");
  button.setAttribute("type", "button");
  button.dataset["fbNode"] = badge.node;
  button.title = `${badge.whole}\nShow ${badge.node} on the canvas`;
  button.setAttribute("aria-label", `${badge.whole}: show on the canvas`);
  const pill = element("span", "fb-pill", badge.words);
  pill.dataset["fbInk"] = badge.look.ink;
  const chain = isOnly ? [badge.before.join(", "), badge.node, badge.after.join(", ")].filter(Boolean) : [badge.node];
  button.append(pill, element("span", "fb-badge-chain", chain.join(" → ")));
  return button;
}

function element(tag: string, className: string, text = ""): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
