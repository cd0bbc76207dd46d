import { type ReactElement, useEffect, useRef, useState } from "react";
import type { Card } from "../model/flow";
import { renaming } from "../model/gestures";
import { whyNotRename } from "../model/naming";
import { useCanvas } from "./context";

/** The name of a node while it is written: Enter takes it, Escape leaves it as it was. */
export function NameField({ card }: { readonly card: Card }): ReactElement {
  const { store, editor, view, screen } = useCanvas();
  const field = useRef<HTMLInputElement>(null);
  const isOver = useRef(false);
  const [name, setName] = useState(card.id);
  const why = whyNotRename(card.id, name.trim(), (id) => store.state.cards.has(id));

  useEffect(() => {
    field.current?.focus({ preventScroll: true });
    field.current?.select();
  }, []);

  const end = (isTaken: boolean): void => {
    if (isOver.current) return;
    isOver.current = true;
    const to = name.trim();
    const refused = isTaken ? editor.perform(renaming(store.state, card.id, to)) : "";
    if (isTaken && !refused) view.selection.rename(card.id, to);
    view.renaming.set(null);
    if (isTaken) view.tell(refused);
    screen.focus();
  };
  return (
    <input
      ref={field}
      className="fb-name-field nodrag nopan"
      type="text"
      aria-label={`New name of ${card.id}`}
      aria-invalid={why !== "" || undefined}
      title={why || undefined}
      data-fb-wrong={why ? "" : undefined}
      spellCheck={false}
      autoComplete="off"
      value={name}
      onChange={(event) => {
        setName(event.currentTarget.value);
        view.tell(whyNotRename(card.id, event.currentTarget.value.trim(), (id) => store.state.cards.has(id)));
      }}
      onBlur={() => end(why === "")}
      onKeyDown={(event) => {
        if (event.key === "Enter") {
          if (why) view.tell(why);
          else end(true);
        } else if (event.key === "Escape") {
          view.tell("");
          end(false);
        } else return;
        event.preventDefault();
      }}
    />
  );
}
