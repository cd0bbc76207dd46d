/** Flows in notebooks: commands, the canvas beside the notebook, badges on cells, and the settings of all that. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from "@jupyterlab/application";
import { ICommandPalette, showErrorMessage } from "@jupyterlab/apputils";
import { INotebookTracker } from "@jupyterlab/notebook";
import { ISettingRegistry } from "@jupyterlab/settingregistry";
import { CellBadges } from "./cellBadges";
import { addCommands } from "./commands";
import { INotebookFlows, type NotebookFlows } from "./tokens";

const ID = "flowbook:notebook";

export const notebookPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: "Commands, badges and a canvas beside the notebook.",
  autoStart: true,
  requires: [INotebookFlows, INotebookTracker],
  optional: [ICommandPalette, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    flows: NotebookFlows,
    tracker: INotebookTracker,
    palette: ICommandPalette | null,
    registry: ISettingRegistry | null,
  ) => {
    addCommands(app, tracker, flows, palette);
    const badges = new CellBadges(app, flows);
    const read = ({ composite }: ISettingRegistry.ISettings): void => {
      badges.isShown = composite["cellBadges"] !== false;
      const most = composite["collapseAbove"];
      if (typeof most === "number") flows.keepers.collapseAbove = most;
    };
    registry
      ?.load(ID)
      .then((settings) => {
        settings.changed.connect(read);
        read(settings);
      })
      .catch((error: unknown) => showErrorMessage("The settings of flowbook cannot be read", String(error)));
  },
};
