/** One line per widget model, shared by all its views: the same protocol as over a comm of our own. */

import { ControlClient } from "../protocol/ControlClient";
import type { BrowserMessage } from "../protocol/messages";

/** What is needed of the model behind an ipyreact widget. */
export interface WidgetModel {
  readonly comm_live?: boolean;
  on(event: string, listener: (...values: never[]) => void): void;
}

export type Emit = (message: BrowserMessage) => void;

const clients = new WeakMap<WidgetModel, WidgetClient>();

/** The client of a model, made when it is first asked for. */
export function clientOf(model: WidgetModel, emit: Emit): ControlClient {
  let found = clients.get(model);
  if (!found) {
    found = new WidgetClient(model);
    clients.set(model, found);
  }
  found.emit = emit; // ipyreact makes the callback anew whenever it draws
  return found.client;
}

class WidgetClient {
  readonly client = new ControlClient();
  emit: Emit = () => undefined;

  constructor(model: WidgetModel) {
    model.on("msg:custom", (content: { readonly flowbook?: unknown }) => {
      if (content.flowbook !== undefined) this.client.receive(content.flowbook);
    });
    model.on("comm_live_update", () => (model.comm_live === false ? this.client.close() : this.#open()));
    // Not at once: the callback belongs to the drawing that is under way.
    queueMicrotask(() => this.#open());
  }

  #open(): void {
    this.client.open((message) => {
      try {
        this.emit(message);
      } catch {
        this.client.close(); // the kernel was shut down, which ends comms without a word
      }
    });
  }
}
