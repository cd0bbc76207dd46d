import { type IRenderMimeRegistry, MimeModel } from "@jupyterlab/rendermime";
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import type { PartialJSONObject } from "@lumino/coreutils";
import { Panel } from "@lumino/widgets";
import { type ReactElement, useMemo } from "react";
import { useCard, useIsLive } from "../canvas/context";
import { NodeStrip, type StripFacts } from "../canvas/NodeStrip";
import type { Card, Json } from "../model/flow";
import { FlowStore } from "../model/store";
import { whyNoTable } from "../model/tablePorts";
import { NODE_MIME, type NodeBundle } from "../protocol/bundles";
import { readNode } from "../protocol/reading";
import { afterPaint } from "./afterPaint";
import type { Controls } from "./Controls";
import { type MimeData, OutputKeeping } from "./keeping";
import { OutputLink } from "./OutputLink";
import { PlainNote } from "./PlainNote";
import { ReactWidget } from "./ReactWidget";
import { valueParts } from "./valueParts";

/**
 * Paints one node in the output of its cell: a strip with its state, and below it the value, drawn by whatever renderer
 * this JupyterLab has for the best of the value's own mime types.
 *
 * With a kernel the strip says what is so now, in this view only. A new value is written into the output, so that what
 * is saved is what is shown; that comes back as a model to render.
 */
export class NodeRenderer extends Panel implements IRenderMime.IRenderer {
  readonly #registry: IRenderMimeRegistry;
  readonly #output: OutputLink;
  readonly #keeping = new OutputKeeping();
  readonly #onTable: ((flow: string, node: string) => void) | null;
  readonly #strip = new ReactWidget("fb-strip-host");
  readonly #shown: { effects: Shown | null; value: Shown | null } = { effects: null, value: null };
  #model: IRenderMime.IMimeModel | null = null;
  #bundle: NodeBundle | null = null;
  #store: FlowStore | null = null;
  #drawing: Promise<void> = Promise.resolve();

  /** `onTable` shows the value of a node as a grid; null where there is no place for one. */
  constructor(
    registry: IRenderMimeRegistry,
    controls: Controls,
    resolver: IRenderMime.IResolver | null,
    onTable: ((flow: string, node: string) => void) | null,
  ) {
    super();
    this.#onTable = onTable;
    this.addClass("fb-output");
    this.#registry = registry;
    this.#output = new OutputLink(controls, resolver, () => this.#hear());
    this.addWidget(this.#strip);
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.#model = model;
    this.#keeping.shows(model);
    const bundle = readNode(model.data[NODE_MIME]);
    this.#bundle = bundle;
    if (!bundle) {
      this.#strip.draw(<PlainNote data={model.data} />);
      return;
    }
    this.#output.bind(bundle.flow);
    this.#update();
    // One after another: models that come while a value is drawn would find it missing and draw it beside itself.
    this.#drawing = this.#drawing.catch(() => undefined).then(() => this.#drawValue(model, bundle));
    await this.#drawing;
  }

  async #drawValue(model: IRenderMime.IMimeModel, bundle: NodeBundle): Promise<void> {
    if (this.isDisposed || this.#model !== model) return; // a newer one is waiting
    const { effects, value } = bundle.card ? NO_VALUE : valueParts(model.data);
    const trusted = model.trusted;
    this.#shown.effects = await this.#show(
      this.#shown.effects,
      effects ? { "text/html": effects } : {},
      {},
      trusted,
      1,
    );
    this.#shown.value = await this.#show(this.#shown.value, value, model.metadata, trusted, 2);
  }

  override dispose(): void {
    if (!this.isDisposed) this.#output.dispose();
    super.dispose();
  }

  /** There is news of the flow: the strip hears of its node by itself. */
  #hear(): void {
    if (this.#store !== (this.#output.link?.store ?? null)) this.#update();
    else afterPaint(this.#keep);
  }

  #update(): void {
    const bundle = this.#bundle;
    if (!bundle || this.isDisposed) return;
    const store = this.#output.link?.store ?? null;
    this.#store = store;
    this.#strip.draw(
      <LiveStrip
        bundle={bundle}
        store={store}
        onSet={(name, value) => this.#set(bundle.node, name, value)}
        onSettle={() => this.#output.link?.editor.settle()}
        onTable={this.#onTable && (() => this.#onTable?.(bundle.flow, bundle.node))}
      />,
    );
    afterPaint(this.#keep);
  }

  /** Store the node's output as the kernel made it last, when it says something else than what is stored. */
  readonly #keep = (): void => {
    const bundle = this.#bundle;
    if (!bundle || this.isDisposed) return;
    const { link } = this.#output;
    const news = link?.store.isLive ? link.node(bundle.node) : undefined;
    if (!news?.shrunk) this.#keeping.keep(news?.data);
  };

  #set(node: string, name: string, value: Json): void {
    this.#output.link?.editor.set(node, name, value);
  }

  /** Draw the best of some mime types; the renderer that is there already is used again when it can be. */
  async #show(
    before: Shown | null,
    data: MimeData,
    metadata: IRenderMime.IMimeModel["metadata"],
    trusted: boolean,
    place: number,
  ): Promise<Shown | null> {
    const written = JSON.stringify(data);
    if (before && before.written === written && before.trusted === trusted) return before;
    const json = data as PartialJSONObject;
    const mime = this.#registry.preferredMimeType(json, trusted ? "any" : "ensure");
    if (!mime) {
      before?.renderer.dispose();
      return null;
    }
    let renderer = before?.renderer;
    if (before?.mime !== mime || !renderer) {
      renderer?.dispose();
      renderer = this.#registry.createRenderer(mime);
      renderer.addClass("fb-value");
      renderer.node.dataset["mimeType"] = mime;
      this.insertWidget(Math.min(place, this.widgets.length), renderer);
    }
    await renderer.renderModel(new MimeModel({ data: json, metadata: metadata as PartialJSONObject, trusted }));
    return { renderer, mime, written, trusted };
  }
}

const NO_VALUE = { effects: "", value: {} };

/** The strip of a node: as the store of a live flow says, else as it was stored. */
function LiveStrip(props: {
  readonly bundle: NodeBundle;
  readonly store: FlowStore | null;
  readonly onSet: (name: string, value: Json) => void;
  readonly onSettle: () => void;
  readonly onTable: (() => void) | null;
}): ReactElement {
  const nobody = useMemo(() => new FlowStore(props.bundle.flow), [props.bundle.flow]);
  const store = props.store ?? nobody;
  const card = useCard(store, props.bundle.node);
  const isLive = useIsLive(store) && card !== undefined;
  return (
    <NodeStrip
      facts={isLive ? { ...props.bundle, ...factsOf(card) } : props.bundle}
      card={props.bundle.card && (isLive ? card : props.bundle.card)}
      isLive={isLive}
      onSet={isLive ? props.onSet : undefined}
      onSettle={isLive ? props.onSettle : undefined}
      onTable={(props.onTable && !whyNoTable(card ?? props.bundle.card ?? undefined) && props.onTable) || undefined}
    />
  );
}

const factsOf = ({ status, stamp, reason, tookS, error }: Card): Partial<StripFacts> => ({
  status,
  stamp,
  reason,
  tookS,
  error,
});

interface Shown {
  readonly renderer: IRenderMime.IRenderer;
  readonly mime: string;
  readonly written: string;
  readonly trusted: boolean;
}
