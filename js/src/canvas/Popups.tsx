import { type ReactElement, useCallback } from "react";
import { ActionMenu } from "./ActionMenu";
import { AddPalette } from "./AddPalette";
import { ConnectPalette } from "./ConnectPalette";
import { useCanvas, useValue } from "./context";
import { Floating } from "./Floating";
import { HelpPalette } from "./HelpPalette";

/** The list or menu that is open above the canvas. The keys go back to the canvas when it closes. */
export function Popups(): ReactElement | null {
  const { view, screen } = useCanvas();
  const popup = useValue(view.popup);
  const close = useCallback(() => {
    view.popup.set(null);
    view.pointed.set(null);
    screen.focus();
  }, [view, screen]);
  if (!popup) return null;
  const shown = (): ReactElement => {
    switch (popup.kind) {
      case "add":
        return <AddPalette at={popup.at} from={popup.from} onClose={close} />;
      case "connect":
        return <ConnectPalette node={popup.node} from={popup.from} to={popup.to} onClose={close} />;
      case "menu":
        return <ActionMenu about={popup.about} onClose={close} />;
      case "help":
        return <HelpPalette onClose={close} />;
    }
  };
  return (
    <Floating
      place={popup.place}
      className={popup.kind === "menu" ? "fb-menu" : "fb-palette"}
      // What stood open before was about something else.
      key={`${popup.kind} ${popup.place?.x} ${popup.place?.y}`}
      onClose={close}
    >
      {shown()}
    </Floating>
  );
}
