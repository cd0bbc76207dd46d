/** What a person can ask for on a canvas; a host gives it, and null where nobody is there to answer. */

import type { Json } from "../model/flow";

export interface Scope {
  readonly to?: readonly string[];
  readonly after?: readonly string[];
  readonly only?: readonly string[];
  readonly stale?: true;
  readonly force?: boolean;
}

export interface CanvasActions {
  run(scope: Scope): void;
  cancel(): void;
  set(node: string, name: string, value: Json): void;
}
