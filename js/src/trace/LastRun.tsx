import type { ReactElement } from "react";
import { useChanging, useIsLive } from "../canvas/context";
import type { FlowStore } from "../model/store";
import { TracePanel } from "./TracePanel";

/** The last run of a flow, as long as a kernel tells of it. */
export function LastRun({ store }: { readonly store: FlowStore }): ReactElement | null {
  const trace = useChanging(store.onTrace, () => store.trace);
  const isLive = useIsLive(store);
  return trace && <TracePanel trace={trace} isLive={isLive} />;
}
