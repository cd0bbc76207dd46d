/** What a widget can say of where its flow is kept: it cannot write cells, so it offers the document itself. */

import type { DocumentHistory, DocumentKeeper, KeepingState } from "../model/documentKeeper";
import { Listeners } from "../model/listeners";
import type { ControlClient, FlowLink } from "../protocol/ControlClient";

const keepers = new WeakMap<FlowLink, WidgetKeeper>();

/** The keeper of a flow, made when it is first asked for; it hears of every batch from then on. */
export function keeperOf(client: ControlClient, link: FlowLink): DocumentKeeper {
  let keeper = keepers.get(link);
  if (!keeper) {
    keeper = new WidgetKeeper(client, link);
    keepers.set(link, keeper);
  }
  return keeper;
}

class WidgetKeeper implements DocumentKeeper {
  readonly onState = new Listeners();
  readonly history: DocumentHistory = { undo: () => false, redo: () => false };
  readonly #link: FlowLink;
  #state: KeepingState = { kind: "kept" };

  constructor(client: ControlClient, link: FlowLink) {
    this.#link = link;
    client.onBatch(({ flow, cell }) => {
      if (flow === link.flow && cell) this.#tell(cell.text === null || cell.due ? "absent" : "kept");
    });
  }

  get state(): KeepingState {
    return this.#state;
  }

  useCanvas(): void {}

  useText(): void {}

  keepInNotebook(): void {}

  copyDocument(): void {
    void navigator.clipboard?.writeText(this.#text);
  }

  saveToFile(): void {
    const url = URL.createObjectURL(new Blob([this.#text], { type: "application/json" }));
    const way = document.createElement("a");
    way.href = url;
    way.download = `${this.#link.flow}.flow.json`;
    way.click();
    URL.revokeObjectURL(url);
  }

  get #text(): string {
    return `${(this.#link.store.documentText ?? "{}").trimEnd()}\n`;
  }

  #tell(kind: "kept" | "absent"): void {
    if (this.#state.kind === kind) return;
    this.#state = { kind };
    this.onState.call();
  }
}
