import { type KeyboardEvent, type ReactElement, useEffect, useRef } from "react";
import { shownKey } from "../model/keys";
import type { About } from "../model/view";
import { type Action, act, actionsOf, type Group } from "./actions";
import { useCanvas } from "./context";
import { isMac } from "./typing";

const GROUPS: readonly Group[] = ["run", "node", "host", "edit", "clipboard", "view"];

/** What can be done with what was pressed: the actions of the table that say so. */
export function ActionMenu(props: { readonly about: About; readonly onClose: () => void }): ReactElement {
  const context = useCanvas();
  const ref = useRef<HTMLDivElement>(null);
  const actions = actionsOf(context).filter(({ places }) => places.includes(props.about));
  const groups = GROUPS.map((group) => actions.filter((action) => action.group === group)).filter(
    (each) => each.length,
  );

  useEffect(() => items(ref.current)[0]?.focus({ preventScroll: true }), []);

  const onKeyDown = (event: KeyboardEvent): void => {
    const found = items(ref.current);
    const now = found.indexOf(document.activeElement as HTMLElement);
    const goTo = (place: number): void => found[(place + found.length) % found.length]?.focus();
    if (event.key === "ArrowDown") goTo(now + 1);
    else if (event.key === "ArrowUp") goTo(now - 1);
    else if (event.key === "Home") goTo(0);
    else if (event.key === "End") goTo(-1);
    else if (event.key === "Escape" || event.key === "Tab") props.onClose();
    else return;
    event.preventDefault();
  };
  const choose = (action: Action): void => {
    props.onClose();
    act(action, context);
  };
  return (
    <div ref={ref} role="menu" tabIndex={-1} aria-label={MENU_WORDS[props.about]} onKeyDown={onKeyDown}>
      {groups.map((group) => (
        // biome-ignore lint/a11y/useSemanticElements: a group of menu items, not of fields
        <div role="group" className="fb-menu-group" key={group[0]?.group}>
          {group.map((action) => (
            <button
              key={action.id}
              type="button"
              role="menuitem"
              className="fb-menu-item"
              tabIndex={-1}
              aria-disabled={action.whyNot(context) !== "" || undefined}
              title={action.whyNot(context) || undefined}
              data-fb-action={action.id}
              onClick={() => choose(action)}
              onPointerMove={(event) => event.currentTarget.focus({ preventScroll: true })}
            >
              <span>{action.labelNow?.(context) ?? action.label}</span>
              <kbd>{action.keys[0] ? shownKey(action.keys[0], isMac) : ""}</kbd>
            </button>
          ))}
        </div>
      ))}
    </div>
  );
}

const MENU_WORDS: Readonly<Record<About, string>> = { node: "Node", edge: "Edge", ground: "Flow" };

function items(menu: HTMLElement | null): readonly HTMLElement[] {
  return [...(menu?.querySelectorAll<HTMLElement>("[role='menuitem']") ?? [])];
}
