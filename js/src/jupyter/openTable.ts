/** Opens the table of a node in a grid below its notebook. What draws it is loaded then, not before. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget } from "@jupyterlab/apputils";
import type { NotebookPanel } from "@jupyterlab/notebook";
import { flowIcon } from "./flowIcon";
import type { NotebookFlows } from "./tokens";

/** Open the grid of a node, or show the one that is open. */
export async function openTable(
  app: JupyterFrontEnd,
  flows: NotebookFlows,
  panel: NotebookPanel,
  flow: string,
  node: string,
): Promise<void> {
  const id = `flowbook-table:${panel.id}:${flow}:${node}`;
  const opened = [...app.shell.widgets("main")].find((widget) => widget.id === id);
  if (!opened) {
    const { DockedTable } = await import("./DockedTable");
    if (panel.isDisposed) return;
    const widget = new MainAreaWidget({ content: new DockedTable(flows, panel, flow, node) });
    widget.id = id;
    widget.title.label = node;
    widget.title.caption = `The table of ${node}, in the flow ${flow} of ${panel.context.path}`;
    widget.title.icon = flowIcon;
    widget.title.closable = true;
    panel.disposed.connect(() => widget.dispose());
    const others = [...app.shell.widgets("main")].filter((each) => each.id.startsWith("flowbook-table:"));
    const beside = others.at(-1);
    app.shell.add(
      widget,
      "main",
      beside ? { mode: "tab-after", ref: beside.id } : { mode: "split-bottom", ref: panel.id },
    );
  }
  app.shell.activateById(id);
}
