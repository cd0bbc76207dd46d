import { type ReactElement, type ReactNode, useEffect, useLayoutEffect, useRef } from "react";
import type { Point } from "../model/geometry";

const MARGIN_PX = 8;

/**
 * Something that stands above the canvas, and above everything else on the page: a cell's output would cut it off. It
 * closes with a press elsewhere, and when the page is scrolled away under it.
 */
export function Floating(props: {
  /** Pixels of the window, null: below the top of the canvas, in its middle. */
  readonly place: Point | null;
  readonly className: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
}): ReactElement {
  const ref = useRef<HTMLDivElement>(null);
  const { place, onClose } = props;

  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    element.setAttribute("popover", "manual");
    element.showPopover?.();
    const size = element.getBoundingClientRect();
    const canvas = element.parentElement?.closest(".fb-canvas")?.getBoundingClientRect() ?? size;
    const wanted = {
      x: place && !Number.isNaN(place.x) ? place.x : canvas.left + (canvas.width - size.width) / 2,
      y: place && !Number.isNaN(place.y) ? place.y : canvas.top + 46,
    };
    const within = (at: number, length: number, room: number): number =>
      Math.max(MARGIN_PX, Math.min(at, room - length - MARGIN_PX));
    element.style.left = `${within(wanted.x, size.width, window.innerWidth)}px`;
    element.style.top = `${within(wanted.y, size.height, window.innerHeight)}px`;
  }, [place]);

  useEffect(() => {
    const onPress = (event: Event): void => {
      if (event.target instanceof Node && !ref.current?.contains(event.target)) onClose();
    };
    document.addEventListener("pointerdown", onPress, true);
    window.addEventListener("resize", onClose);
    return () => {
      document.removeEventListener("pointerdown", onPress, true);
      window.removeEventListener("resize", onClose);
    };
  }, [onClose]);

  return (
    <div ref={ref} className={`fb-floating ${props.className}`} data-fb-popup="">
      {props.children}
    </div>
  );
}
