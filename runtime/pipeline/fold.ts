// One attempt of a projection: the entry's next state from its last one and the event. Stores nothing.
import { marksOf, Permanent, type Projection } from "../authoring/index.ts";
import type { BatchMessage } from "../broker/index.ts";
import { validatorOf } from "../contracts/index.ts";
import { type CloudEvent, nameOf, token, untoken } from "../events/index.ts";
import type { Entries } from "./entries.ts";

export type Folded =
  | { readonly kind: "folded"; readonly message: BatchMessage }
  | { readonly kind: "threw"; readonly error: unknown };

/** Folds one event into the entry of `key`; at once where its last state is known. */
export function foldEvent(
  projection: Projection,
  event: CloudEvent,
  key: string,
  entries: Entries,
): Folded | Promise<Folded> {
  const known = entries.known(key);
  if (known !== undefined) return fold(projection, event, key, entries, known.state);
  return entries.read(key).then(
    (state) => fold(projection, event, key, entries, state),
    (error: unknown) => ({ kind: "threw", error }),
  );
}

function fold(
  projection: Projection,
  event: CloudEvent,
  key: string,
  entries: Entries,
  state: unknown,
): Folded {
  try {
    const next = nextState(projection, event, state);
    return { kind: "folded", message: entries.fold(key, next, marksAfter(projection, next)) };
  } catch (error) {
    return { kind: "threw", error };
  }
}

/** The entry's next state, checked; null removes the entry. */
export function nextState(projection: Projection, event: CloudEvent, state: unknown): unknown {
  // The event is the union of the types in `from`; the pipeline has checked type and data against them.
  const next = projection.apply(state, event as never);
  checkState(projection, event, next);
  return next;
}

/** What the entry is found by from now on: the marks of its next state, none of one that is removed. */
export function marksAfter(projection: Projection, next: unknown): string {
  return next === null ? "" : marksOf(projection, next);
}

/** The entry that an event belongs to. Throws Permanent for what can be no key. */
export function entryKey(projection: Projection, event: CloudEvent): string {
  const key: unknown = projection.key(event as never);
  if (typeof key === "string" && key !== "" && untoken(token(key)) === key) return key;
  const found = typeof key === "string" ? `a text of ${key.length} characters` : typeof key;
  throw new Permanent(
    `projection ${projection.name}: key(event) gave ${found} for ${nameOf(event)}; ` +
      "an entry's key is a text of 1 to 200 characters (fewer where they have to be encoded)",
  );
}

function checkState(projection: Projection, event: CloudEvent, next: unknown): void {
  if (next === null) return;
  if (next === undefined) {
    throw new Permanent(
      `projection ${projection.name}: apply returned undefined for ${nameOf(event)}; return the next state, or null to remove the entry`,
    );
  }
  if (projection.state === undefined) return;
  const wrong = validatorOf(projection.state)(next);
  if (wrong.length === 0) return;
  throw new Permanent(
    `projection ${projection.name}: the state after ${nameOf(event)} breaks its schema: ${wrong.join("; ")}. The entry is unchanged`,
  );
}
