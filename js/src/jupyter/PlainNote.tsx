import type { ReadonlyPartialJSONObject } from "@lumino/coreutils";
import type { ReactElement } from "react";

/** What stands in place of a bundle this version cannot read: the words that stand beside it. */
export function PlainNote({ data }: { readonly data: ReadonlyPartialJSONObject }): ReactElement {
  const written = data["text/plain"];
  const lines = Array.isArray(written) ? written.join("") : written;
  return <pre className="fb-plain">{typeof lines === "string" ? lines : "A flowbook output of a newer version."}</pre>;
}
