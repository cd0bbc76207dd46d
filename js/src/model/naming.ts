/** What a node may be called: the rule of flowbook/core/flow_data.py, said before the kernel has to. */

const KEYWORDS: ReadonlySet<string> = new Set(
  (
    "False None True and as assert async await break class continue def del elif else except finally for from global " +
    "if import in is lambda nonlocal not or pass raise return try while with yield"
  ).split(" "),
);

/** Say in words why an id cannot name a node; empty when it can. */
export function whyNoName(id: string): string {
  if (!id) return "a node needs a name";
  if (!/^[A-Za-z_][\p{L}\p{N}_]*$/u.test(id))
    return `“${id}” cannot name a node: letters, digits and _, no digit first`;
  return KEYWORDS.has(id) ? `“${id}” is a word of Python` : "";
}

/** Say in words why a node cannot be given another name; empty when it can. */
export function whyNotRename(id: string, to: string, isTaken: (id: string) => boolean): string {
  if (id === to) return "";
  return whyNoName(to) || (isTaken(to) ? `there is a node “${to}” already` : "");
}
