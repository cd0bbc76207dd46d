import { type ReactElement, type ReactNode, useEffect, useRef, useState } from "react";
import { useChanging } from "./context";
import { FlowCanvas, type FlowCanvasProps } from "./FlowCanvas";
import { wantedHeight } from "./shapes";

export interface CanvasOutputProps extends FlowCanvasProps {
  /** What stands below the canvas. */
  readonly children?: ReactNode;
}

/** A canvas in the flow of a page: as high as its flow wants to be in the width there is. */
export function CanvasOutput({ children, ...props }: CanvasOutputProps): ReactElement {
  const { store } = props;
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const observer = new ResizeObserver(() => element.clientWidth && setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useChanging(store.onTopology, () => store.topologyCount);
  return (
    <>
      <div ref={host} style={{ height: wantedHeight(store.state, width || 900) }}>
        {width > 0 && <FlowCanvas {...props} />}
      </div>
      {children}
    </>
  );
}
