/** The bundles in outputs, read once each: JupyterLab copies all that an output holds whenever it is asked for it. */

import { CANVAS_MIME, NODE_MIME, TRACE_MIME } from "../protocol/bundles";

type Bundle = Readonly<Record<string, unknown>>;

/** What of an output's model is needed. */
export interface OutputModel {
  readonly data: Bundle;
  readonly changed: { connect(slot: (model: OutputModel) => void): unknown };
}

export interface OutputList {
  readonly length: number;
  get(place: number): OutputModel;
}

const MIMES = [CANVAS_MIME, NODE_MIME, TRACE_MIME];
const read = new WeakMap<OutputModel, ReadonlyMap<string, Bundle>>();

/** The bundles of one type; the same objects until their output changes. */
export function bundlesIn(outputs: OutputList, mime: string): readonly Bundle[] {
  const found: Bundle[] = [];
  for (let place = 0; place < outputs.length; place += 1) {
    const bundle = bundlesOfOne(outputs.get(place)).get(mime);
    if (bundle) found.push(bundle);
  }
  return found;
}

function bundlesOfOne(model: OutputModel): ReadonlyMap<string, Bundle> {
  let bundles = read.get(model);
  if (!bundles) {
    const { data } = model;
    bundles = new Map(MIMES.flatMap((mime) => (isObject(data[mime]) ? [[mime, data[mime]]] : [])));
    read.set(model, bundles);
    model.changed.connect(forget); // connected once, however often
  }
  return bundles;
}

function forget(model: OutputModel): void {
  read.delete(model);
}

const isObject = (json: unknown): json is Bundle => typeof json === "object" && json !== null;
