// Whether another version of a handler can go on in the session of the one before it. Pure.
import type { Handler } from "../authoring/index.ts";
import { filterOf, inputsOf } from "./consume.ts";

/** Where it reads other events or streams, keeps another order or declares other indexes, what a session has set up is not its own. */
export function needsOwnSession(before: Handler, after: Handler): boolean {
  return [filterOf, orderOf, indexesOf, streamsOf].some((of) => of(before) !== of(after));
}

const streamsOf = (handler: Handler) => inputsOf(handler, "").join(" ");
const orderOf = ({ declaration }: Handler) => declaration.options.ordered === true;
const indexesOf = ({ declaration }: Handler) =>
  declaration.kind === "projection" ? declaration.indexes.join(" ") : "";
