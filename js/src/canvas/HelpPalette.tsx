import type { ReactElement } from "react";
import { search } from "../model/catalogue";
import { shownKey } from "../model/keys";
import { act, actionById, actionsOf } from "./actions";
import { useCanvas } from "./context";
import { SearchList } from "./SearchList";
import { isMac } from "./typing";

/** Every action with its keys; choosing one does it. */
export function HelpPalette({ onClose }: { readonly onClose: () => void }): ReactElement {
  const context = useCanvas();
  const actions = actionsOf(context);
  return (
    <SearchList
      title="What the keys do"
      placeholder="Name of an action, or a key"
      items={(query) =>
        search(actions, query, ({ label, keys }) => ({ name: label, more: keys.join(" ").toLowerCase() })).map(
          (action) => ({
            id: action.id,
            label: action.label,
            note: action.keys.map((key) => <kbd key={key}>{shownKey(key, isMac)}</kbd>),
            detail: action.whyNot(context),
            isOff: action.whyNot(context) !== "",
          }),
        )
      }
      empty="Nothing of that name."
      onChoose={(item) => {
        onClose();
        const action = actionById(item.id, context);
        if (action) act(action, context);
      }}
      onClose={onClose}
    />
  );
}
