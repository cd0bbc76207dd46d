import { YNotebook } from "@jupyter/ydoc";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type CellModel, CellText } from "../../src/jupyter/CellText";
import { CellKeeper, type FlowCells } from "../../src/jupyter/writeBack";
import { type CellNews, documentIn } from "../../src/model/flowCell";
import { History } from "../../src/model/history";
import { Listeners } from "../../src/model/listeners";
import { FlowStore } from "../../src/model/store";
import type { BrowserMessage } from "../../src/protocol/messages";

const documentOf = (...lines: string[]): string => `{\n "flowbook": "1",\n "nodes": [\n${lines.join(",\n")}\n ]\n}`;
const at = (id: string, x: number): string => `  {"id": "${id}", "typeId": "${id}", "position": {"x": ${x}, "y": 0}}`;
const cellOf = (...lines: string[]): string => `%%flow f\n${documentOf(...lines)}`;

const stepsOf = (history: History): { readonly depth: number; followTo(depth: number): void } => ({
  get depth() {
    return history.depthWithout(new Set());
  },
  followTo: (depth) => history.goTo(depth),
});

/** A notebook of real shared cells, a kernel that believes what it is told, and a keeper between them. */
class Bench {
  readonly notebook = YNotebook.create({ disableDocumentWideUndoRedo: true }) as YNotebook;
  readonly models: CellModel[] = [];
  readonly store = new FlowStore("f");
  readonly onChange = new Listeners();
  readonly sent: BrowserMessage[] = [];
  readonly collapsed: string[] = [];
  isHeld = false;
  isAgreed = true;
  rev = 1;
  seen: string | null = null;
  /** Of every document the flow was to follow: whether a person took a step back or forth. */
  readonly steps: boolean[] = [];
  readonly history = new History();
  readonly cells: FlowCells = {
    find: (flow) => this.models.map((model) => new CellText(model)).filter((cell) => cell.flow === flow),
    insert: (_flow, text, below) => {
      this.add(text, {}, below === null ? 0 : this.models.findIndex((model) => model.id === below) + 1);
      return this.cells.find("f").find((cell) => cell.text === text) ?? null;
    },
    collapse: (id) => this.collapsed.push(id),
    onChange: this.onChange,
  };
  readonly keeper = new CellKeeper({
    store: this.store,
    cells: this.cells,
    send: (message) => this.sent.push(message),
    follow: async (document, isByHand) => {
      if (!this.isAgreed) return null;
      this.steps.push(isByHand);
      this.rev += 1;
      this.says(document, { text: document, due: false });
      return this.rev;
    },
    isEdited: () => this.rev > 1,
    steps: stepsOf(this.history),
    isHeld: () => this.isHeld,
    copy: () => undefined,
    collapseAbove: () => 12,
  });

  add(source: string, metadata: Record<string, unknown> = {}, place = this.models.length): CellModel {
    const shared = this.notebook.insertCell(place, { cell_type: "code", source, metadata: metadata as never });
    const model: CellModel = {
      id: shared.getId(),
      type: "code",
      isDirty: false,
      sharedModel: shared as never,
      getMetadata: (key) => shared.getMetadata(key),
    };
    shared.changed.connect(() => {
      model.isDirty = true;
      this.onChange.call();
    });
    this.models.splice(place, 0, model);
    this.onChange.call();
    return model;
  }

  /** The kernel says what the flow is now. */
  says(document: string, news: Partial<CellNews> = {}): void {
    this.store.update({ rev: this.rev, documentText: document });
    this.seen = news.text === undefined ? this.seen : news.text;
    this.keeper.tell({ id: this.models[0]?.id ?? null, text: this.seen, due: true, ...news });
    this.keeper.documentChanged();
  }

  /** An edit was made on the canvas, and the kernel took it. */
  edited(document: string): void {
    this.rev += 1;
    this.seen = this.lastWritten ?? this.seen;
    this.keeper.lease(true);
    this.says(document);
  }

  get lastWritten(): string | null {
    const written = this.sent.filter((message) => message.kind === "wrote").at(-1);
    return written?.kind === "wrote" ? written.text : null;
  }

  document(place = 0): string {
    return documentIn(this.text(place) ?? "");
  }

  text(place = 0): string | undefined {
    return this.models[place]?.sharedModel.getSource();
  }

  type(text: string, place = 0): void {
    this.models[place]?.sharedModel.updateSource(this.text(place)?.length ?? 0, this.text(place)?.length ?? 0, text);
  }
}

const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(500);

let bench: Bench;

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(console, "warn").mockReturnValue(); // Yjs warns of how JupyterLab's shared models begin
  bench = new Bench();
  bench.store.connect("live");
});

afterEach(() => {
  bench.keeper.dispose();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

describe("a cell that says what the kernel saw of it", () => {
  beforeEach(() => {
    bench.add(cellOf(at("a", 1), at("b", 2)));
    bench.says(documentOf(at("a", 1), at("b", 2)), { text: bench.document(), due: false });
  });

  it("is written when an operation is over, and the kernel is told", async () => {
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    expect(bench.text()).toBe(cellOf(at("a", 1), at("b", 2)));
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 1), at("b", 7)));
    expect(bench.sent.at(-1)).toMatchObject({ kind: "wrote", flow: "f", text: bench.document() });
    expect(bench.models[0]?.isDirty).toBe(false);
    expect(bench.keeper.state.kind).toBe("kept");
  });

  it("is written once for what is dragged, when the button is let go", async () => {
    bench.isHeld = true;
    for (const x of [3, 4, 5]) {
      bench.edited(documentOf(at("a", 1), at("b", x)));
      await settled();
    }
    expect(bench.lastWritten).toBeNull();
    bench.isHeld = false;
    bench.keeper.released();
    await settled();
    expect(bench.sent.filter((message) => message.kind === "wrote")).toHaveLength(1);
    expect(bench.text()).toBe(cellOf(at("a", 1), at("b", 5)));
  });

  it("is not written over what is typed: the text stays until somebody chooses", async () => {
    bench.type("\n# mine");
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    await settled();
    expect(bench.text()).toBe(`${cellOf(at("a", 1), at("b", 2))}\n# mine`);
    expect(bench.keeper.state.kind).toBe("differs");
    bench.keeper.useCanvas();
    expect(bench.text()).toBe(cellOf(at("a", 1), at("b", 7)));
    expect(bench.keeper.state.kind).toBe("kept");
  });

  it("wins when somebody chooses the text", async () => {
    bench.models[0]?.sharedModel.updateSource(0, bench.text()?.length ?? 0, cellOf(at("a", 99)));
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    await settled();
    bench.keeper.useText();
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 99)));
    expect(bench.store.documentText).toBe(documentOf(at("a", 99)));
    expect(bench.keeper.state.kind).toBe("kept");
    expect(bench.models[0]?.isDirty).toBe(false);
  });

  it("is still marked as changed when the kernel cannot read it", async () => {
    bench.type("typed");
    bench.edited(documentOf(at("a", 1)));
    bench.isAgreed = false;
    bench.keeper.useText();
    await settled();
    expect(bench.models[0]?.isDirty).toBe(true);
  });

  it("waits when the typing begins before the write", async () => {
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    await vi.advanceTimersByTimeAsync(60);
    bench.type("\n,");
    await settled();
    expect(bench.lastWritten).toBeNull();
    expect(bench.keeper.state.kind).toBe("differs");
  });

  it("keeps the empty line somebody is about to type in", async () => {
    bench.type("\n");
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    await settled();
    expect(bench.text()).toBe(`${cellOf(at("a", 1), at("b", 7))}\n`);
  });

  it("is not written again because an older batch comes late", async () => {
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    await settled();
    bench.says(documentOf(at("a", 1), at("b", 7)), { text: documentOf(at("a", 1), at("b", 2)) });
    expect(bench.keeper.state.kind).toBe("kept");
  });

  it("is written by the browser that edited, and not by another", async () => {
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    bench.keeper.lease(false);
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 1), at("b", 2)));
  });

  it("follows when another browser's write went past it and it was not touched", async () => {
    bench.rev += 1;
    bench.keeper.lease(false);
    bench.says(documentOf(at("a", 5)), { text: documentOf(at("a", 5)), due: false });
    bench.edited(documentOf(at("a", 6)));
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 6)));
  });

  it("does not follow once it was touched", async () => {
    bench.rev += 1;
    bench.keeper.lease(false);
    bench.says(documentOf(at("a", 5)), { text: documentOf(at("a", 5)), due: false });
    bench.type("x");
    bench.edited(documentOf(at("a", 6)));
    await settled();
    expect(bench.keeper.state.kind).toBe("differs");
  });

  it("is collapsed when it grows past a screen, once", async () => {
    const many = Array.from({ length: 13 }, (_, x) => at(`n${x}`, x));
    bench.edited(documentOf(...many));
    await settled();
    bench.edited(documentOf(...many, at("more", 1)));
    await settled();
    expect(bench.collapsed).toEqual([bench.models[0]?.id]);
  });
});

describe("undo", () => {
  beforeEach(async () => {
    bench.add(cellOf(at("a", 0)));
    bench.says(documentOf(at("a", 0)), { text: bench.document(), due: false });
    for (const x of [10, 20, 30]) {
      bench.edited(documentOf(at("a", x)));
      await settled();
    }
  });

  it("takes one operation back at a time, with the cell's own history, and the flow follows", async () => {
    for (const x of [20, 10, 0]) {
      expect(bench.keeper.history.undo()).toBe(true);
      await settled();
      expect(bench.text()).toBe(cellOf(at("a", x)));
      expect(bench.store.documentText).toBe(documentOf(at("a", x)));
    }
    expect(bench.keeper.history.undo()).toBe(false);
    expect(bench.keeper.history.redo()).toBe(true);
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 10)));
    expect(bench.steps).toEqual([true, true, true, true]);
  });

  it("of one step that was written several times leaves the steps before it", async () => {
    const step = (label: string, key: string | null): void =>
      bench.history.add({ label, key, redo: [], undo: [], cids: [] });
    step("mute a", null);
    bench.edited(documentOf(at("a", 35)));
    await settled();
    for (const x of [40, 50, 60]) {
      step("nudge a", "nudge a");
      bench.edited(documentOf(at("a", x)));
      await settled();
    }
    expect(bench.keeper.history.undo()).toBe(true);
    expect(bench.text()).toBe(cellOf(at("a", 50)));
    expect(bench.history.last?.label).toBe("nudge a");
    for (const _ of "ab") bench.keeper.history.undo();
    expect(bench.history.last?.label).toBe("mute a");
    bench.keeper.history.redo();
    expect(bench.history.last?.label).toBe("nudge a");
  });

  it("of several steps that were written at once takes them all back", async () => {
    for (const label of ["mute a", "pin a"]) bench.history.add({ label, key: null, redo: [], undo: [], cids: [] });
    bench.edited(documentOf(at("a", 35)));
    await settled();
    expect(bench.keeper.history.undo()).toBe(true);
    expect(bench.history.last).toBeNull();
    expect(bench.keeper.history.redo()).toBe(true);
    expect(bench.history.last?.label).toBe("pin a");
  });

  it("of a step of which the text says nothing is the canvas' own, and leaves the one before it", async () => {
    const step = (label: string): void => bench.history.add({ label, key: null, redo: [], undo: [], cids: [] });
    step("set a.n");
    bench.edited(documentOf(at("a", 35)));
    await settled();
    step("set a.m to what it was");
    expect(bench.keeper.history.undo()).toBe(false);
    expect(bench.text()).toBe(cellOf(at("a", 35)));
    bench.history.undo([]);
    expect(bench.keeper.history.undo()).toBe(true);
    expect(bench.text()).toBe(cellOf(at("a", 30)));
    expect(bench.history.last).toBeNull();
  });

  it("leaves what was typed after the last write alone", async () => {
    bench.type("# mine");
    expect(bench.keeper.history.undo()).toBe(false);
    expect(bench.text()).toBe(`${cellOf(at("a", 30))}# mine`);
  });

  it("takes back what is still on its way", async () => {
    bench.store.propose("c", { op: "move", node: "a", x: 40, y: 0 });
    expect(bench.keeper.history.undo()).toBe(true);
    expect(bench.text()).toBe(cellOf(at("a", 30)));
    bench.store.acknowledge("c", bench.rev + 1);
    bench.edited(documentOf(at("a", 40)));
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 30)));
    expect(bench.store.documentText).toBe(documentOf(at("a", 30)));
  });

  it("forgets an undo that waited for an edit the kernel refused", async () => {
    bench.store.propose("c", { op: "move", node: "a", x: 40, y: 0 });
    bench.keeper.history.undo();
    bench.store.refuse({ cid: "c", code: "", message: "", hint: "" });
    bench.keeper.documentChanged();
    bench.edited(documentOf(at("a", 50)));
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 50)));
  });

  it("gives typed text back that the canvas was chosen over", async () => {
    bench.type("typed");
    bench.edited(documentOf(at("a", 40)));
    bench.keeper.useCanvas();
    expect(bench.text()).toBe(cellOf(at("a", 40)));
    expect(bench.keeper.history.undo()).toBe(true);
    expect(bench.text()).toBe(`${cellOf(at("a", 30))}typed`);
  });

  it("of one history for the whole notebook changes no other cell", async () => {
    const wide = new Bench();
    Object.defineProperty(wide.notebook, "disableDocumentWideUndoRedo", { value: false });
    wide.store.connect("live");
    wide.add(cellOf(at("a", 0)));
    wide.add("x = 1");
    wide.says(documentOf(at("a", 0)), { text: wide.document(), due: false });
    wide.edited(documentOf(at("a", 1)));
    await settled();
    wide.type(" + 1", 1);
    expect(wide.keeper.history.undo()).toBe(true);
    expect(wide.text()).toBe(cellOf(at("a", 0)));
    expect(wide.text(1)).toBe("x = 1 + 1");
    wide.keeper.dispose();
  });
});

describe("cells that cannot be written", () => {
  it.each([{ editable: false }, { deletable: false }])(
    "stay as they are with %j; a copy is offered",
    async (metadata) => {
      bench.add(cellOf(at("a", 0)), metadata);
      bench.says(documentOf(at("a", 0)), { text: bench.document(), due: false });
      bench.edited(documentOf(at("a", 1)));
      await settled();
      expect(bench.text()).toBe(cellOf(at("a", 0)));
      expect(bench.keeper.state.kind).toBe("locked");
      bench.keeper.keepInNotebook();
      expect(bench.text(1)).toBe(cellOf(at("a", 1)));
      expect(bench.lastWritten).toBe(documentOf(at("a", 1)));
      bench.edited(documentOf(at("a", 2)));
      bench.keeper.tell({ id: bench.models[1]?.id ?? null, text: bench.document(1), due: true });
      await settled();
      expect(bench.text(1)).toBe(cellOf(at("a", 2)));
    },
  );

  it("are not there for a flow made in code, which can be kept", async () => {
    bench.says(documentOf(at("a", 1)), { id: null, text: null, due: false });
    expect(bench.keeper.state.kind).toBe("absent");
    bench.keeper.keepInNotebook();
    expect(bench.text()).toBe(cellOf(at("a", 1)));
    expect(bench.keeper.state.kind).toBe("kept");
    expect(bench.sent.map((message) => message.kind)).toContain("wrote");
  });

  it("are two: the one that was run last is written, and both are warned of", async () => {
    bench.add(cellOf(at("a", 0)));
    bench.add(cellOf(at("a", 0)));
    const id = bench.models[1]?.id ?? null;
    bench.keeper.lease(true);
    bench.says(documentOf(at("a", 3)), { id, text: documentOf(at("a", 0)) });
    await settled();
    expect(bench.keeper.state).toEqual({ kind: "several", count: 2 });
    expect([bench.text(0), bench.text(1)]).toEqual([cellOf(at("a", 0)), cellOf(at("a", 3))]);
  });
});

describe("the one who writes", () => {
  const asked = (): readonly BrowserMessage[] => bench.sent.filter((message) => message.kind === "lease");

  it("declines where there is no cell to write into, and asks again when there is one", () => {
    bench.says(documentOf(), { due: false });
    bench.keeper.lease(true);
    bench.keeper.lease(false);
    bench.add("%%flow f\n{}");
    expect(asked()).toEqual([
      { kind: "lease", flow: "f", held: false },
      { kind: "lease", flow: "f", held: true },
    ]);
  });

  it("declines where the cell is locked, and says why nothing is written", () => {
    bench.add("%%flow f\n{}", { editable: false });
    bench.says(documentOf(), { text: "{}" });
    bench.keeper.lease(true);
    expect(asked()).toEqual([{ kind: "lease", flow: "f", held: false }]);
    expect(bench.keeper.state.kind).toBe("locked");
  });

  it("does not ask while others write and nothing was declined", () => {
    bench.add("%%flow f\n{}");
    bench.says(documentOf(), { text: "{}", due: false });
    bench.keeper.lease(false);
    expect(asked()).toEqual([]);
  });
});
