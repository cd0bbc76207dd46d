import { YNotebook } from "@jupyter/ydoc";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type CellModel, CellText } from "../../src/jupyter/CellText";
import { CellKeeper, type FlowCells } from "../../src/jupyter/writeBack";
import type { TextNews } from "../../src/model/flowCell";
import { Listeners } from "../../src/model/listeners";
import { FlowStore } from "../../src/model/store";
import type { BrowserMessage } from "../../src/protocol/messages";

const documentOf = (...lines: string[]): string => `{\n "flowbook": "1",\n "nodes": [\n${lines.join(",\n")}\n ]\n}\n`;
const at = (id: string, x: number): string => `  {"id": "${id}", "typeId": "${id}", "position": {"x": ${x}, "y": 0}}`;
const cellOf = (...lines: string[]): string => `%%flow f\n${documentOf(...lines).trimEnd()}`;

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
    follow: async (_cellId, text) => {
      if (!this.isAgreed) return null;
      this.rev += 1;
      this.says(text.slice(text.indexOf("\n") + 1), { seen: text, isUnwritten: false });
      return this.rev;
    },
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
  says(document: string, news: Partial<TextNews> = {}): void {
    this.store.update({ rev: this.rev, documentText: document });
    this.seen = news.seen ?? this.seen;
    this.keeper.tell({
      cellId: this.models[0]?.id ?? null,
      seen: this.seen,
      isUnwritten: true,
      isWriter: true,
      ...news,
    });
    this.keeper.documentChanged();
  }

  /** An edit was made on the canvas, and the kernel took it. */
  edited(document: string): void {
    this.rev += 1;
    this.seen = this.lastWritten ?? this.seen;
    this.says(document);
  }

  get lastWritten(): string | null {
    const written = this.sent.filter((message) => message.kind === "wrote").at(-1);
    return written?.kind === "wrote" ? written.text : null;
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
    bench.says(documentOf(at("a", 1), at("b", 2)), { seen: bench.text() ?? null, isUnwritten: false });
  });

  it("is written when an operation is over, and the kernel is told", async () => {
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    expect(bench.text()).toBe(cellOf(at("a", 1), at("b", 2)));
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 1), at("b", 7)));
    expect(bench.sent.at(-1)).toMatchObject({ kind: "wrote", flow: "f", rev: 2, text: bench.text() });
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
    expect(bench.store.documentText).toBe(documentOf(at("a", 99)).trimEnd());
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
    bench.type("\n");
    await settled();
    expect(bench.lastWritten).toBeNull();
    expect(bench.keeper.state.kind).toBe("differs");
  });

  it("is not written again because an older batch comes late", async () => {
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    await settled();
    bench.says(documentOf(at("a", 1), at("b", 7)), { seen: cellOf(at("a", 1), at("b", 2)) });
    expect(bench.keeper.state.kind).toBe("kept");
  });

  it("is written by the browser that edited, and not by another", async () => {
    bench.edited(documentOf(at("a", 1), at("b", 7)));
    bench.says(documentOf(at("a", 1), at("b", 7)), { isWriter: false });
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 1), at("b", 2)));
  });

  it("follows when another browser's write went past it and it was not touched", async () => {
    bench.rev += 1;
    bench.says(documentOf(at("a", 5)), { seen: cellOf(at("a", 5)), isUnwritten: false, isWriter: false });
    bench.rev += 1;
    bench.says(documentOf(at("a", 6)), { seen: cellOf(at("a", 5)) });
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 6)));
  });

  it("does not follow once it was touched", async () => {
    bench.rev += 1;
    bench.says(documentOf(at("a", 5)), { seen: cellOf(at("a", 5)), isUnwritten: false, isWriter: false });
    bench.type("x");
    bench.rev += 1;
    bench.says(documentOf(at("a", 6)), { seen: cellOf(at("a", 5)) });
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
    bench.says(documentOf(at("a", 0)), { seen: bench.text() ?? null, isUnwritten: false });
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
      expect(bench.store.documentText).toBe(documentOf(at("a", x)).trimEnd());
    }
    expect(bench.keeper.history.undo()).toBe(false);
    expect(bench.keeper.history.redo()).toBe(true);
    await settled();
    expect(bench.text()).toBe(cellOf(at("a", 10)));
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
    expect(bench.store.documentText).toBe(documentOf(at("a", 30)).trimEnd());
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
    bench.type("\n");
    bench.edited(documentOf(at("a", 40)));
    bench.keeper.useCanvas();
    expect(bench.keeper.history.undo()).toBe(true);
    expect(bench.text()).toBe(`${cellOf(at("a", 30))}\n`);
  });

  it("of one history for the whole notebook changes no other cell", async () => {
    const wide = new Bench();
    Object.defineProperty(wide.notebook, "disableDocumentWideUndoRedo", { value: false });
    wide.store.connect("live");
    wide.add(cellOf(at("a", 0)));
    wide.add("x = 1");
    wide.says(documentOf(at("a", 0)), { seen: wide.text() ?? null, isUnwritten: false });
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
      bench.says(documentOf(at("a", 0)), { seen: bench.text() ?? null, isUnwritten: false });
      bench.edited(documentOf(at("a", 1)));
      await settled();
      expect(bench.text()).toBe(cellOf(at("a", 0)));
      expect(bench.keeper.state.kind).toBe("locked");
      bench.keeper.keepInNotebook();
      expect(bench.text(1)).toBe(cellOf(at("a", 1)));
      expect(bench.lastWritten).toBe(cellOf(at("a", 1)));
      bench.edited(documentOf(at("a", 2)));
      bench.keeper.tell({
        cellId: bench.models[1]?.id ?? null,
        seen: bench.text(1) ?? null,
        isUnwritten: true,
        isWriter: true,
      });
      await settled();
      expect(bench.text(1)).toBe(cellOf(at("a", 2)));
    },
  );

  it("are not there for a flow made in code, which can be kept", async () => {
    bench.says(documentOf(at("a", 1)), { cellId: null, seen: null });
    expect(bench.keeper.state.kind).toBe("absent");
    bench.keeper.keepInNotebook();
    expect(bench.text()).toBe(cellOf(at("a", 1)));
    expect(bench.keeper.state.kind).toBe("kept");
    expect(bench.sent.map((message) => message.kind)).toContain("wrote");
  });

  it("are two: the one that was run last is written, and both are warned of", async () => {
    bench.add(cellOf(at("a", 0)));
    bench.add(cellOf(at("a", 0)));
    const cellId = bench.models[1]?.id ?? null;
    bench.says(documentOf(at("a", 3)), { cellId, seen: cellOf(at("a", 0)) });
    await settled();
    expect(bench.keeper.state).toEqual({ kind: "several", count: 2 });
    expect([bench.text(0), bench.text(1)]).toEqual([cellOf(at("a", 0)), cellOf(at("a", 3))]);
  });
});

it("says to the kernel when it gets and loses a cell to write into", () => {
  bench.says(documentOf(), { isUnwritten: false });
  bench.add("%%flow f\n{}");
  bench.models[0]?.sharedModel.updateSource(0, 2, "");
  expect(bench.sent.filter((message) => message.kind === "writer").map((message) => message)).toEqual([
    { kind: "writer", flow: "f", can: true },
    { kind: "writer", flow: "f", can: false },
  ]);
});
