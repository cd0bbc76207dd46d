import { expect, it } from "vitest";
import { bundlesIn, type OutputModel } from "../../src/jupyter/outputBundles";
import { NODE_MIME } from "../../src/protocol/bundles";

/** An output that, as JupyterLab's do, gives a copy away each time it is asked. */
class FakeOutput implements OutputModel {
  copies = 0;
  node = "a";
  readonly slots = new Set<(model: OutputModel) => void>();
  readonly changed = { connect: (slot: (model: OutputModel) => void) => this.slots.add(slot) };

  get data(): Readonly<Record<string, unknown>> {
    this.copies += 1;
    return { [NODE_MIME]: { node: this.node }, "text/plain": this.node };
  }
}

it("an output is read once, and again when it has changed", () => {
  const output = new FakeOutput();
  const outputs = { length: 1, get: () => output };
  const [bundle] = bundlesIn(outputs, NODE_MIME);
  expect(bundle).toEqual({ node: "a" });
  expect(bundlesIn(outputs, NODE_MIME)[0]).toBe(bundle);
  expect(output.copies).toBe(1);
  output.node = "b";
  for (const slot of output.slots) slot(output);
  expect(bundlesIn(outputs, NODE_MIME)).toEqual([{ node: "b" }]);
  expect(output.copies).toBe(2);
});
