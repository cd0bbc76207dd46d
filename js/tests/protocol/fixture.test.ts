/** One file stands between the two languages; a Python test writes it and compares it with protocol.py. */

import { describe, expect, it } from "vitest";
import type {
  ArrayPreview,
  Card,
  Column,
  Counts,
  Edge,
  Failure,
  Flowed,
  Fused,
  Group,
  InputPort,
  LogLine,
  Note,
  OutputPort,
  PicturePreview,
  PortType,
  RunSummary,
  Setting,
  Span,
  Stamp,
  Status,
  TablePreview,
  TextPreview,
} from "../../src/model/flow";
import { mainLook, portInk, stampLook, statusLook } from "../../src/model/looks";
import {
  CANVAS_MIME,
  type CanvasBundle,
  FORMAT,
  NODE_MIME,
  type NodeBundle,
  TRACE_MIME,
  type TraceBundle,
} from "../../src/protocol/bundles";
import { readCanvas, readNode, readTrace } from "../../src/protocol/reading";
import fixture from "../fixtures/protocol.json";

/** The keys of a type, complete: one too many or too few does not compile. */
type Keys<T> = Readonly<Record<keyof T, true>>;

const KEYS = {
  Failure: { code: true, message: true, hint: true, line: true } satisfies Keys<Failure>,
  InputPort: { name: true, type: true, connected: true, required: true, constant: true } satisfies Keys<InputPort>,
  OutputPort: {
    name: true,
    type: true,
    connected: true,
    shape: true,
    columns: true,
    columnCount: true,
  } satisfies Keys<OutputPort>,
  Setting: {
    name: true,
    label: true,
    control: true,
    value: true,
    default: true,
    connected: true,
    min: true,
    max: true,
    step: true,
    options: true,
    unit: true,
    help: true,
  } satisfies Keys<Setting>,
  Column: { name: true, type: true } satisfies Keys<Column>,
  TablePreview: { kind: true, columns: true, rows: true, height: true, width: true } satisfies Keys<TablePreview>,
  ArrayPreview: {
    kind: true,
    dtype: true,
    shape: true,
    min: true,
    max: true,
    spark: true,
    histogram: true,
    sampled: true,
    image: true,
  } satisfies Keys<ArrayPreview>,
  PicturePreview: { kind: true, mime: true, data: true, width: true, height: true } satisfies Keys<PicturePreview>,
  TextPreview: { kind: true, text: true } satisfies Keys<TextPreview>,
  Card: {
    id: true,
    title: true,
    typeId: true,
    kind: true,
    doc: true,
    x: true,
    y: true,
    w: true,
    h: true,
    status: true,
    stamp: true,
    reason: true,
    tookS: true,
    inputs: true,
    outputs: true,
    settings: true,
    preview: true,
    copies: true,
    copiedBytes: true,
    error: true,
    pinned: true,
    bypassed: true,
    letters: true,
  } satisfies Keys<Card>,
  Edge: {
    source: true,
    sourcePort: true,
    target: true,
    targetPort: true,
    implicit: true,
    type: true,
    label: true,
    copies: true,
    copiedBytes: true,
    copyReason: true,
    carried: true,
  } satisfies Keys<Edge>,
  Group: { title: true, nodes: true } satisfies Keys<Group>,
  Note: { text: true, x: true, y: true } satisfies Keys<Note>,
  RunSummary: {
    id: true,
    status: true,
    tookS: true,
    ran: true,
    cached: true,
    failed: true,
    skipped: true,
    copies: true,
    copiedBytes: true,
    cacheBytes: true,
    cacheBudgetBytes: true,
  } satisfies Keys<RunSummary>,
  Canvas: {
    kind: true,
    flow: true,
    seq: true,
    runId: true,
    at: true,
    layoutHash: true,
    document: true,
    nodes: true,
    edges: true,
    groups: true,
    notes: true,
    run: true,
    summarised: true,
  } satisfies Keys<CanvasBundle>,
  Counts: {
    ran: true,
    cached: true,
    failed: true,
    skipped: true,
    copies: true,
    copiedBytes: true,
  } satisfies Keys<Counts>,
  LogLine: { stream: true, text: true } satisfies Keys<LogLine>,
  Span: {
    node: true,
    status: true,
    stamp: true,
    reason: true,
    startS: true,
    tookS: true,
    attempt: true,
    rows: true,
    columns: true,
    copies: true,
    copiedBytes: true,
    copyReason: true,
    logs: true,
    logCount: true,
    error: true,
  } satisfies Keys<Span>,
  Flowed: { source: true, target: true, rows: true } satisfies Keys<Flowed>,
  Fused: {
    members: true,
    collected: true,
    startS: true,
    tookS: true,
    flowed: true,
    notFused: true,
    error: true,
  } satisfies Keys<Fused>,
  Trace: {
    kind: true,
    flow: true,
    runId: true,
    seq: true,
    status: true,
    final: true,
    startedAt: true,
    tookS: true,
    summarised: true,
    counts: true,
    spans: true,
    fused: true,
  } satisfies Keys<TraceBundle>,
  NodeNote: {
    kind: true,
    flow: true,
    node: true,
    runId: true,
    seq: true,
    status: true,
    stamp: true,
    reason: true,
    at: true,
    key: true,
    tookS: true,
    error: true,
    card: true,
  } satisfies Keys<NodeBundle>,
};

const STATUSES: Readonly<Record<Status, true>> = {
  idle: true,
  queued: true,
  running: true,
  ok: true,
  failed: true,
  skipped: true,
  muted: true,
  unresponsive: true,
  waiting: true,
};
const STAMPS: Readonly<Record<Stamp, true>> = {
  live: true,
  recorded: true,
  cached: true,
  stale: true,
  replayed: true,
  "from notebook": true,
};
const PORT_TYPES: Readonly<Record<PortType, true>> = {
  table: true,
  series: true,
  array: true,
  picture: true,
  callable: true,
  scalar: true,
  text: true,
  packet: true,
  any: true,
};

describe("the mirror", () => {
  it("has every record with every key", () => {
    const mine = Object.fromEntries(Object.entries(KEYS).map(([name, keys]) => [name, Object.keys(keys).sort()]));
    // The format stands in every bundle and is checked when one is read; the views never see it.
    const theirs = Object.entries(fixture.keys).map(([name, keys]) => [name, keys.filter((key) => key !== "flowbook")]);
    expect(mine).toEqual(Object.fromEntries(theirs));
  });

  it("has every word", () => {
    expect(fixture.words.Status.toSorted()).toEqual(Object.keys(STATUSES).sort());
    expect(fixture.words.Stamp.toSorted()).toEqual(Object.keys(STAMPS).sort());
    expect(fixture.words.PortType.toSorted()).toEqual(Object.keys(PORT_TYPES).sort());
    expect(fixture.mimes).toEqual({ canvas: CANVAS_MIME, trace: TRACE_MIME, node: NODE_MIME });
  });

  it("has a look of its own for every status and stamp", () => {
    for (const status of fixture.words.Status) expect(statusLook(status).word).toBe(status);
    for (const stamp of fixture.words.Stamp) expect(stampLook(stamp, true)?.word).toBe(stamp);
    expect(stampLook("live", false)?.word).toBe("recorded");
    expect(mainLook({ status: "ok", stamp: "stale" }).word).toBe("stale");
    expect(portInk("picture")).toBe("picture");
    expect(portInk("packet")).toBe("any");
  });
});

describe("reading", () => {
  it("keeps everything of a bundle that is whole", () => {
    const { flowbook: _, ...canvas } = fixture.bundles.canvas;
    expect(readCanvas(fixture.bundles.canvas)).toMatchObject({ ...canvas, groups: [] });
    const { flowbook: __, ...trace } = fixture.bundles.trace;
    expect(readTrace(fixture.bundles.trace)).toMatchObject(trace);
    const { flowbook: ___, card, ...node } = fixture.bundles.node;
    expect(readNode(fixture.bundles.node)).toMatchObject({ ...node, card: { id: card.id, error: card.error } });
  });

  it("fills in the defaults of a bundle that had to shrink", () => {
    const lean = readCanvas(fixture.bundles.lean);
    const whole = readCanvas(fixture.bundles.flights);
    expect(lean?.nodes.map((card) => [card.id, card.status, card.kind])).toEqual(
      whole?.nodes.map((card) => [card.id, card.status, card.kind]),
    );
    expect(lean?.nodes.every((card) => Array.isArray(card.settings) && card.preview === null)).toBe(true);
  });

  it("never throws, whatever it is given", () => {
    const odd: readonly unknown[] = [null, 1, "x", [], {}, { kind: "canvas" }, { kind: "canvas", flow: 3 }];
    for (const json of odd) expect([readCanvas(json), readTrace(json), readNode(json)]).toEqual([null, null, null]);
    const broken = { kind: "canvas", flow: "f", nodes: [null, 7, { id: "a", x: "left", inputs: [null] }], edges: [{}] };
    expect(readCanvas(broken)?.nodes).toMatchObject([{ id: "a", x: 0, inputs: [{ name: "", type: "any" }] }]);
    expect(readCanvas(broken)?.edges).toEqual([]);
  });

  it("leaves a bundle of a newer format to those who know it", () => {
    expect(readCanvas({ ...fixture.bundles.flights, flowbook: "2" })).toBeNull();
    expect(readCanvas({ ...fixture.bundles.flights, flowbook: FORMAT })).not.toBeNull();
  });
});
