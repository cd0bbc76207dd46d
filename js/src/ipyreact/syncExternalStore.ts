/**
 * `use-sync-external-store/shim` as an ES module over React's own hook. The package is CommonJS, which would ask for
 * React by `require`, and a module in a browser has none.
 */

import { useCallback, useRef, useSyncExternalStore } from "react";

type Subscribe = (listener: () => void) => () => void;

export { useSyncExternalStore };

/** Read a part of a store; the component is drawn again when that part is another one. */
export function useSyncExternalStoreWithSelector<Snapshot, Part>(
  subscribe: Subscribe,
  getSnapshot: () => Snapshot,
  getServerSnapshot: (() => Snapshot) | null | undefined,
  select: (snapshot: Snapshot) => Part,
  isEqual?: (one: Part, other: Part) => boolean,
): Part {
  const last = useRef<{ readonly snapshot: Snapshot; readonly part: Part; readonly select: typeof select } | null>(
    null,
  );
  const read = (snapshot: Snapshot): Part => {
    const before = last.current;
    if (before && before.snapshot === snapshot && before.select === select) return before.part;
    const made = select(snapshot);
    const part = before && isEqual?.(before.part, made) ? before.part : made;
    last.current = { snapshot, part, select };
    return part;
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: `read` is made anew whenever `select` or `isEqual` is
  const getPart = useCallback(() => read(getSnapshot()), [getSnapshot, select, isEqual]);
  const getServerPart = getServerSnapshot ? () => read(getServerSnapshot()) : undefined;
  return useSyncExternalStore(subscribe, getPart, getServerPart);
}

export default { useSyncExternalStore, useSyncExternalStoreWithSelector };
