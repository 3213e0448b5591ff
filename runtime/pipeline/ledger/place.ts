// Where a handler's ledger stands: in the stream that its effects go to, so that both fit into one batch. Pure.
import type { Handler } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { natsSubject, token } from "../../events/index.ts";
import { stateLedger, stateTypeOf } from "../state/names.ts";

/** The one destination of a handler. */
export interface Place {
  /** The stream that takes effects and ledger. */
  readonly stream: string;
  /** Subject of the ledger's records. */
  readonly ledger: string;
}

export type PlaceNames = Pick<Broker, "app" | "home" | "state">;

export function placeOf({ declaration, name }: Handler, names: PlaceNames): Place {
  return placeNamed(declaration.kind, name, names);
}

/** A projection has the name of its bucket; a built-in handler of the compacted home that of its type. */
export function placeNamed(
  kind: Handler["declaration"]["kind"],
  name: string,
  { app, home, state }: PlaceNames,
): Place {
  if (kind === "reaction") {
    return { stream: home, ledger: natsSubject("ledger", token(app), token(name)) };
  }
  const type = stateTypeOf(name);
  return type === undefined ? projectionPlace(name) : { stream: state, ledger: stateLedger(type) };
}

export function projectionPlace(name: string): Place {
  return { stream: `KV_${name}`, ledger: natsSubject("cursor", token(name)) };
}

/** Subject of the standing of one event that left the fast way: it waits for a retry, or is dead. */
export function standingSubject(place: Place, stream: string, seq: number): string {
  return `${place.ledger}.${token(stream)}.${seq}`;
}

/** What the names of an app's durable consumers begin with. No token holds `==`, so that no two apps share a name. */
function consumerPrefix(app: string): string {
  return `${token(app)}==`;
}

/** Name of the durable consumers of a handler. A built-in one of the compacted home is that of all apps on the stream: one
 * of their instances runs it, and the others stand by. */
export function consumerName(app: string, handler: string): string {
  const shared = stateTypeOf(handler) !== undefined;
  return (shared ? sharedPrefix : consumerPrefix(app)) + token(handler);
}

/** Whether a consumer of the home stream is one of the app's handlers, or of those that all apps share. */
export function isConsumerOf(app: string, consumer: string): boolean {
  return consumer.startsWith(consumerPrefix(app)) || consumer.startsWith(sharedPrefix);
}

const sharedPrefix = "===";
