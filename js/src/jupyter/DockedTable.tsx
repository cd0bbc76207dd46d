/** The table of a node in a tab of its own: what it is, the grid, and the chosen cell written out. */

import type { NotebookPanel } from "@jupyterlab/notebook";
import type { Message } from "@lumino/messaging";
import { BoxPanel } from "@lumino/widgets";
import { systemClipboard } from "../canvas/systemClipboard";
import { GridView } from "../grid/GridView";
import { TableSource } from "../grid/TableSource";
import type { Card } from "../model/flow";
import { FlowStore } from "../model/store";
import { tablePorts } from "../model/tablePorts";
import type { FlowLink } from "../protocol/ControlClient";
import type { Reject } from "../protocol/messages";
import { readCanvas } from "../protocol/reading";
import type { TableAnswer, TableRequest } from "../protocol/tables";
import { ReactWidget } from "./ReactWidget";
import { ArrayFacts, TableBar, TableFoot } from "./TableBar";
import type { NotebookFlows } from "./tokens";

const BAR_PX = 36;
const FOOT_PX = 28;
const ARRAY_PX = 148;
/** Room for a text of several lines. */
const TALL_FOOT_PX = 108;
/** A cell is written out when the cursor has come to rest. */
const REST_MS = 120;
/** A node that runs again and again is asked for its value this often. */
const FOLLOW_MS = 80;

export class DockedTable extends BoxPanel {
  readonly #flows: NotebookFlows;
  readonly #panel: NotebookPanel;
  readonly #node: string;
  readonly #link: FlowLink;
  readonly #bar = new ReactWidget("fb-table-bar-host");
  readonly #array = new ReactWidget("fb-array-host");
  readonly #foot = new ReactWidget("fb-table-foot-host");
  readonly #stops: (() => void)[] = [];
  #source: TableSource;
  #grid: GridView;
  #port: string | null = null;
  #cellWords = { name: "", text: "" };
  #cellTimer = 0;
  #edition = 0;
  #followTimer = 0;
  #frame = 0;

  constructor(flows: NotebookFlows, panel: NotebookPanel, flow: string, node: string) {
    super({ direction: "top-to-bottom", spacing: 0 });
    this.addClass("fb-docked-table");
    this.#flows = flows;
    this.#panel = panel;
    this.#node = node;
    const control = flows.controls.of(panel);
    control.wake();
    this.#link = control.client.link(flow);
    const card = this.#card;
    const ports = card ? tablePorts(card) : [];
    // A node without a preview has no primary output: the first of its tables is shown.
    this.#port = card && !card.preview && ports.length > 1 ? (ports[0] ?? null) : null;
    [this.#source, this.#grid] = this.#make();
    this.addWidget(this.#bar);
    this.addWidget(this.#array);
    this.addWidget(this.#grid);
    this.addWidget(this.#foot);
    this.#array.hide();
    BoxPanel.setSizeBasis(this.#array, ARRAY_PX);
    BoxPanel.setStretch(this.#grid, 1);
    BoxPanel.setSizeBasis(this.#bar, BAR_PX);
    BoxPanel.setSizeBasis(this.#foot, FOOT_PX);
    const { store } = this.#link;
    this.#stops.push(
      this.#link.use(),
      store.onCard(node, () => this.#follow()),
      store.onConnection.add(() => this.#connected()),
    );
    this.#begin();
  }

  /** What is shown: for who looks at it from a program. */
  get source(): TableSource {
    return this.#source;
  }

  get grid(): GridView {
    return this.#grid;
  }

  override dispose(): void {
    if (this.isDisposed) return;
    clearTimeout(this.#cellTimer);
    clearTimeout(this.#followTimer);
    cancelAnimationFrame(this.#frame);
    this.#source.close();
    for (const stop of this.#stops) stop();
    super.dispose();
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    this.#grid.activate();
  }

  /** What is known of the node: by its kernel, else by the notebook. */
  get #card(): Card | undefined {
    return this.#link.store.card(this.#node) ?? this.#recorded?.card(this.#node);
  }

  get #isArray(): boolean {
    const card = this.#card;
    const port = card?.outputs.find(({ name }) => name === this.#port) ?? card?.outputs[0];
    return this.#port === null && card?.preview ? card.preview.kind === "array" : port?.type === "array";
  }

  get #recorded(): FlowStore | null {
    const bundle = readCanvas(this.#flows.notebooks.recorded(this.#panel, this.#link.flow));
    return bundle && FlowStore.recorded(bundle);
  }

  #make(): [TableSource, GridView] {
    const { client } = this.#flows.controls.of(this.#panel);
    const ask = (request: TableRequest): Promise<TableAnswer | Reject> => client.ask(request);
    const source = new TableSource(this.#link.store, this.#node, this.#port, ask, this.#isArray);
    const grid = new GridView(source, `The table of ${this.#node}`, (text) => systemClipboard.write(text));
    source.onChange.add(() => {
      if (source === this.#source && source.edition !== this.#edition) {
        this.#edition = source.edition;
        this.#chosen(); // another text stands in the chosen cell now
      }
      this.#draw();
    });
    source.onStats.add(() => this.#draw());
    grid.onCursor.add(() => this.#chosen());
    return [source, grid];
  }

  #begin(): void {
    const preview = this.#card?.preview;
    if (preview?.kind === "table" && this.#port === null) this.#source.record(preview);
    if (this.#link.store.isLive) void this.#source.open();
    this.#draw();
  }

  #choosePort(port: string): void {
    this.#port = port;
    const before = this.#grid;
    this.#source.close();
    [this.#source, this.#grid] = this.#make();
    this.insertWidget(2, this.#grid);
    BoxPanel.setStretch(this.#grid, 1);
    before.dispose();
    this.#begin();
  }

  #connected(): void {
    if (this.#link.store.isLive) void this.#source.open();
    else if (this.#link.store.connection === "lost") this.#source.lost();
    this.#draw();
  }

  /** Its card changed, so it may have another value now. */
  #follow(): void {
    this.#draw();
    if (this.#followTimer) return;
    this.#followTimer = window.setTimeout(() => {
      this.#followTimer = 0;
      if (this.#link.store.isLive) void this.#source.open();
    }, FOLLOW_MS);
  }

  #chosen(): void {
    clearTimeout(this.#cellTimer);
    this.#cellTimer = window.setTimeout(() => void this.#writeOut(), REST_MS);
  }

  async #writeOut(): Promise<void> {
    const place = this.#grid.cursor;
    const source = this.#source;
    const column = place && source.columns[place.column];
    if (!place || !column) return;
    const { edition } = source;
    const text = await source.whole(place.row, place.column);
    if (this.isDisposed || source !== this.#source || source.edition !== edition) return;
    this.#cellWords = { name: `${column.name} · row ${place.row.toLocaleString("en-US")}`, text };
    const isTall = text.includes("\n") || text.length > 160;
    BoxPanel.setSizeBasis(this.#foot, isTall ? TALL_FOOT_PX : FOOT_PX);
    this.#draw();
  }

  /** Draw what is around the grid, once a frame: statistics and statuses come in swarms. */
  #draw(): void {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.isDisposed) return;
      const card = this.#card;
      const { store } = this.#link;
      this.#bar.draw(
        <TableBar
          node={this.#node}
          card={card}
          isLive={store.isLive}
          source={this.#source}
          ports={card ? tablePorts(card) : []}
          port={this.#port}
          onPort={(port) => this.#choosePort(port)}
          onRow={(row) => this.#grid.goTo(row)}
          onUnsort={() => this.#source.sortBy([])}
        />,
      );
      const { array } = this.#source;
      if (array) this.#array.draw(<ArrayFacts array={array} />);
      this.#array.setHidden(array === null);
      this.#grid.setHidden(array !== null && this.#source.columns.length === 0);
      this.#foot.draw(<TableFoot {...this.#cellWords} />);
    });
  }
}
