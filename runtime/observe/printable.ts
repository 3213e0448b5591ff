// Text from outside for a terminal: what would move the cursor, change colours or reorder text becomes an escape.
// Foreign text passes through here on its way to any screen. Pure.

const unsafe =
  /[\p{Cc}\u2028-\u202e\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/gu;
const unsafeButLines = new RegExp(`(?![\\n\\t])(?:${unsafe.source})`, "gu");

/** One line, whatever it was. */
export function printable(text: string): string {
  return text.replace(unsafe, escaped);
}

/** As it was, line by line: a stack, a code frame. */
export function printableLines(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(unsafeButLines, escaped);
}

function escaped(char: string): string {
  const short = { "\n": "\\n", "\r": "\\r", "\t": "\\t" }[char];
  return short ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** "1 effect", "2 effects". */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
