import { type IRenderMimeRegistry, MimeModel } from "@jupyterlab/rendermime";
import type { IRenderMime } from "@jupyterlab/rendermime-interfaces";
import type { PartialJSONObject } from "@lumino/coreutils";
import { Panel } from "@lumino/widgets";
import { NodeStrip } from "../canvas/NodeStrip";
import { NODE_MIME, type NodeBundle } from "../protocol/bundles";
import { readNode } from "../protocol/reading";
import { PlainNote } from "./PlainNote";
import { ReactWidget } from "./ReactWidget";
import { type MimeData, valueParts } from "./valueParts";

/**
 * Paints one node in the output of its cell: a strip with its state, and below it the value, drawn by whatever renderer
 * this JupyterLab has for the best of the value's own mime types.
 */
export class NodeRenderer extends Panel implements IRenderMime.IRenderer {
  readonly #registry: IRenderMimeRegistry;
  readonly #strip = new ReactWidget("fb-strip-host");
  readonly #shown: { effects: Shown | null; value: Shown | null } = { effects: null, value: null };

  constructor(registry: IRenderMimeRegistry) {
    super();
    this.addClass("fb-output");
    this.#registry = registry;
    this.addWidget(this.#strip);
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    const bundle = readNode(model.data[NODE_MIME]);
    if (!bundle) {
      this.#strip.draw(<PlainNote data={model.data} />);
      return;
    }
    this.#drawStrip(bundle);
    if (bundle.card) return;
    const { effects, value } = valueParts(model.data);
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

  #drawStrip(bundle: NodeBundle): void {
    this.#strip.draw(<NodeStrip facts={bundle} card={bundle.card} isLive={false} onSet={undefined} />);
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

interface Shown {
  readonly renderer: IRenderMime.IRenderer;
  readonly mime: string;
  readonly written: string;
  readonly trusted: boolean;
}
