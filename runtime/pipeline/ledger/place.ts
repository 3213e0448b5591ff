// Where a handler's ledger stands: in the stream that its effects go to, so that both fit into one batch. Pure.
import type { Handler } from "../../authoring/index.ts";
import { natsSubject, token } from "../../events/index.ts";

/** The one destination of a handler. */
export interface Place {
  /** The stream that takes effects and ledger. */
  readonly stream: string;
  /** Subject of the ledger's records. */
  readonly ledger: string;
}

export function placeOf({ declaration, name }: Handler, app: string, home: string): Place {
  return placeNamed(declaration.kind, name, app, home);
}

/** A projection has the name of its bucket. */
export function placeNamed(
  kind: Handler["declaration"]["kind"],
  name: string,
  app: string,
  home: string,
): Place {
  if (kind === "projection") {
    return { stream: `KV_${name}`, ledger: natsSubject("cursor", token(name)) };
  }
  return { stream: home, ledger: natsSubject("ledger", token(app), token(name)) };
}

/** Subject of the standing of one event that left the fast way: it waits for a retry, or is dead. */
export function standingSubject(place: Place, stream: string, seq: number): string {
  return `${place.ledger}.${token(stream)}.${seq}`;
}

/** What the names of an app's durable consumers begin with. No token holds `==`, so that no two apps share a name. */
export function consumerPrefix(app: string): string {
  return `${token(app)}==`;
}

/** Name of the durable consumers of a handler. */
export function consumerName(app: string, handler: string): string {
  return consumerPrefix(app) + token(handler);
}
