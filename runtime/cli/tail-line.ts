// An event as one line for a person, indented below the event that caused it. Pure.
import { type CloudEvent, keyOf } from "../events/index.ts";
import { printable } from "../observe/index.ts";
import { brief } from "./output.ts";

/** How many causes an event has behind it, as far as they were seen: the last few thousand events. */
export class Chains {
  readonly #depths = new Map<string, number>();

  depthOf(event: CloudEvent): number {
    const cause = event.extensions.causationid;
    const above = cause === undefined ? undefined : this.#depths.get(String(cause));
    const depth = above === undefined ? (cause === undefined ? 0 : 1) : above + 1;
    this.#depths.set(event.id, depth);
    const [oldest] = this.#depths.keys();
    if (this.#depths.size > remembered && oldest !== undefined) this.#depths.delete(oldest);
    return depth;
  }
}

const remembered = 5_000;
const depthShownMax = 8;

export function eventLine(seq: number, time: Date, event: CloudEvent, depth: number): string {
  const clock = time.toTimeString().slice(0, 8);
  const ms = String(time.getMilliseconds()).padStart(3, "0");
  const shown = Math.min(depth, depthShownMax);
  const chain = depth === 0 ? "" : `${"   ".repeat(shown - 1)}└─ `;
  const key = keyOf(event) === event.id ? "" : `  ${clip(keyOf(event), 40)}`;
  const from = `${clip(event.source, 60)} ${clip(event.id, 40)}`;
  return `${clock}.${ms} ${String(seq).padStart(6)}  ${chain}${clip(event.type, 100)}${key}  (${from})  ${brief(event.data, 100)}`.trimEnd();
}

function clip(text: string, charsMax: number): string {
  const safe = printable(text);
  return safe.length > charsMax ? `${safe.slice(0, charsMax - 1)}…` : safe;
}
