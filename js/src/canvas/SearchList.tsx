import { type KeyboardEvent, type ReactElement, type ReactNode, useEffect, useId, useRef, useState } from "react";

/** One line of a list. */
export interface ListItem {
  readonly id: string;
  readonly label: string;
  /** Beside the label: a type, keys. */
  readonly note?: ReactNode;
  /** Below it, or why it cannot be chosen. */
  readonly detail?: string;
  readonly isOff?: boolean;
}

/** A list that is searched by typing: arrows go through it, Enter chooses, Escape closes. */
export function SearchList(props: {
  readonly title: string;
  readonly placeholder: string;
  readonly items: (query: string) => readonly ListItem[];
  readonly empty: string;
  readonly onChoose: (item: ListItem) => void;
  readonly onClose: () => void;
  /** The line the arrows are at; null when there is none. */
  readonly onActive?: (item: ListItem | null) => void;
}): ReactElement {
  const { onActive } = props;
  const id = useId();
  const list = useRef<HTMLUListElement>(null);
  const field = useRef<HTMLInputElement>(null);
  const [query, setQuery] = useState("");
  const [place, setPlace] = useState(0);
  const items = props.items(query);
  const active = items[Math.min(place, items.length - 1)] ?? null;
  const activeId = active?.id ?? null;

  useEffect(() => field.current?.focus({ preventScroll: true }), []);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another line is news
  useEffect(() => {
    onActive?.(active);
    list.current?.querySelector("[aria-selected='true']")?.scrollIntoView({ block: "nearest" });
  }, [activeId]);

  const choose = (item: ListItem | null): void => {
    if (item && !item.isOff) props.onChoose(item);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const last = items.length - 1;
    const now = Math.min(place, last);
    switch (event.key) {
      case "ArrowDown":
        setPlace(now >= last ? 0 : now + 1);
        break;
      case "ArrowUp":
        setPlace(now <= 0 ? last : now - 1);
        break;
      case "PageDown":
        setPlace(Math.min(now + 8, last));
        break;
      case "PageUp":
        setPlace(Math.max(now - 8, 0));
        break;
      case "Enter":
        choose(active);
        break;
      case "Escape":
      case "Tab":
        props.onClose();
        break;
      default:
        return;
    }
    event.preventDefault();
  };

  return (
    <>
      <label className="fb-list-title" htmlFor={`${id}-field`}>
        {props.title}
      </label>
      <input
        ref={field}
        id={`${id}-field`}
        className="fb-list-field"
        type="text"
        role="combobox"
        aria-expanded="true"
        aria-controls={`${id}-list`}
        aria-activedescendant={active ? `${id}-${items.indexOf(active)}` : undefined}
        aria-autocomplete="list"
        autoComplete="off"
        spellCheck={false}
        placeholder={props.placeholder}
        value={query}
        onChange={(event) => {
          setQuery(event.currentTarget.value);
          setPlace(0);
        }}
        onKeyDown={onKeyDown}
      />
      {/* biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: the list of a combobox */}
      <ul ref={list} id={`${id}-list`} className="fb-list" role="listbox" aria-label={props.title}>
        {items.map((item, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the field's
          // biome-ignore lint/a11y/useFocusableInteractive: the focus stays in the field, which names the active line
          <li
            key={item.id}
            id={`${id}-${index}`}
            className="fb-list-item"
            // biome-ignore lint/a11y/noNoninteractiveElementToInteractiveRole: a line of that list
            role="option"
            aria-selected={item === active}
            aria-disabled={item.isOff || undefined}
            onPointerMove={() => item !== active && setPlace(index)}
            onClick={() => choose(item)}
          >
            <span className="fb-list-label">{item.label}</span>
            {item.note !== undefined && <span className="fb-list-note">{item.note}</span>}
            {item.detail && <span className="fb-list-detail">{item.detail}</span>}
          </li>
        ))}
      </ul>
      {!items.length && (
        <div className="fb-list-empty" role="status">
          {props.empty}
        </div>
      )}
    </>
  );
}
