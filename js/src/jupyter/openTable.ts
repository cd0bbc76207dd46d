/** Opens the table of a node in a grid below its notebook. What draws it is loaded then, not before. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { MainAreaWidget } from "@jupyterlab/apputils";
import type { NotebookPanel } from "@jupyterlab/notebook";
import type { Widget } from "@lumino/widgets";
import { flowIcon } from "./flowIcon";
import type { NotebookFlows } from "./tokens";

/** Where a grid may be: a front end for single documents has no room for two in its middle. */
const AREAS = ["main", "right"] as const;
const PREFIX = "flowbook-table:";

/** Open the grid of a node, or show the one that is open. */
export async function openTable(
  app: JupyterFrontEnd,
  flows: NotebookFlows,
  panel: NotebookPanel,
  flow: string,
  node: string,
): Promise<void> {
  const id = `${PREFIX}${panel.id}:${flow}:${node}`;
  const isOpen = (): boolean => grids(app).some((widget) => widget.id === id);
  if (!isOpen()) {
    const { DockedTable } = await import("./DockedTable");
    if (panel.isDisposed) return;
    // Asked for twice while it was loaded, it is there by now.
    if (!isOpen()) {
      const widget = new MainAreaWidget({ content: new DockedTable(flows, panel, flow, node) });
      widget.id = id;
      widget.title.label = node;
      widget.title.caption = `The table of ${node}, in the flow ${flow} of ${panel.context.path}`;
      widget.title.icon = flowIcon;
      widget.title.closable = true;
      const close = (): void => widget.dispose();
      panel.disposed.connect(close);
      widget.disposed.connect(() => panel.disposed.disconnect(close));
      if (app.name === "JupyterLab") {
        const beside = grids(app, ["main"]).at(-1);
        app.shell.add(
          widget,
          "main",
          beside ? { mode: "tab-after", ref: beside.id } : { mode: "split-bottom", ref: panel.id },
        );
      } else app.shell.add(widget, "right");
    }
  }
  app.shell.activateById(id);
}

const grids = (app: JupyterFrontEnd, areas: readonly string[] = AREAS): readonly Widget[] =>
  areas.flatMap((area) => [...app.shell.widgets(area)]).filter(({ id }) => id.startsWith(PREFIX));
