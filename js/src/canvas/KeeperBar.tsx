import { type ReactElement, useState } from "react";
import type { DocumentKeeper, KeepingState } from "../model/documentKeeper";
import { useChanging } from "./context";

interface Words {
  readonly ink: "stale" | "idle";
  readonly text: string;
  readonly why: string;
  readonly choices: readonly { readonly label: string; readonly why: string; readonly choose: () => void }[];
}

/** What has to be said about the cell that holds the flow, with what can be done about it. */
export function KeeperBar({ keeper }: { readonly keeper: DocumentKeeper }): ReactElement | null {
  const state = useChanging(keeper.onState, () => keeper.state);
  const [dismissed, setDismissed] = useState<KeepingState | null>(null);
  const words = wordsOf(state, keeper);
  if (!words || dismissed === state) return null;
  return (
    <div
      className="fb-notice fb-keeper"
      data-fb-ink={words.ink}
      data-fb-keeping={state.kind}
      role="status"
      title={words.why}
    >
      <span>{words.text}</span>
      {words.choices.map(({ label, why, choose }) => (
        <button type="button" key={label} title={why} onClick={choose}>
          {label}
        </button>
      ))}
      {state.kind !== "differs" && (
        <button type="button" aria-label="Dismiss" title="Dismiss" onClick={() => setDismissed(state)}>
          ×
        </button>
      )}
    </div>
  );
}

function wordsOf(state: KeepingState, keeper: DocumentKeeper): Words | null {
  switch (state.kind) {
    case "kept":
      return null;
    case "differs":
      return {
        ink: "stale",
        text: "The cell’s text was changed too.",
        why: "Nothing is written over what was typed. Running the cell brings both together where they do not clash.",
        choices: [
          { label: "Use canvas", why: "Write the canvas over the text", choose: () => keeper.useCanvas() },
          { label: "Use text", why: "Make the flow what the text says", choose: () => keeper.useText() },
        ],
      };
    case "locked":
      return {
        ink: "stale",
        text: "The cell that holds this flow is locked.",
        why: "Edits of the flow are not written into it, and are gone when the kernel is.",
        choices: [
          { label: "Copy to a new cell", why: "Put a copy below it", choose: () => keeper.keepInNotebook() },
          { label: "Copy document", why: "Copy the flow’s document as text", choose: () => keeper.copyDocument() },
        ],
      };
    case "several":
      return {
        ink: "stale",
        text: `${state.count} cells hold this flow; the one that was run last counts.`,
        why: "Delete all but one, or give the others another name.",
        choices: [],
      };
    case "absent":
      return {
        ink: "idle",
        text: "Not in the notebook.",
        why: "What is edited here is gone when the kernel is, unless a %%flow cell holds it.",
        choices: [
          keeper.saveToFile
            ? { label: "Save to file", why: "Save the flow’s document", choose: () => keeper.saveToFile?.() }
            : {
                label: "Keep in notebook",
                why: "Add a %%flow cell that holds it",
                choose: () => keeper.keepInNotebook(),
              },
          { label: "Copy document", why: "Copy the flow’s document as text", choose: () => keeper.copyDocument() },
        ],
      };
  }
}
