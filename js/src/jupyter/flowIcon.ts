import { LabIcon } from "@jupyterlab/ui-components";

const CARDS =
  '<rect x="1" y="2" width="6" height="4" rx="1"/><rect x="1" y="10" width="6" height="4" rx="1"/><rect x="10" y="6" width="5" height="4" rx="1"/>';
const EDGES = '<path d="M7 4h1.5v4H10M7 12h1.5V8" fill="none" stroke-width="1.2"/>';

/** Three cards and their edges, in the colours of JupyterLab's other icons. */
export const flowIcon = new LabIcon({
  name: "flowbook:flow",
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 16 16"><g class="jp-icon3" fill="#616161">${CARDS}</g><g class="jp-icon3" stroke="#616161" fill="none">${EDGES}</g></svg>`,
});
