// Names of the compacted home: its built-in handlers, one a type, and the subjects of what they keep. Pure.
import { natsSubject, type Token, token, typeTokens } from "../../events/index.ts";

const root = "state:"; // no projection has a name like that, and no reaction but one of a file with a colon

/** Name of the built-in handler that keeps the last event of each entity of a type. */
export function stateHandlerName(type: string): string {
  return `${root}${type}`;
}

/** The type that a built-in handler keeps; undefined for any other handler. */
export function stateTypeOf(handler: string): string | undefined {
  return handler.startsWith(root) ? handler.slice(root.length) : undefined;
}

/** What the subjects of all entities of a type begin with. */
export function stateSubjectOfType(type: string): string {
  return natsSubject("state", ...typeTokens(type));
}

/** `state.<type>.<key>`: where the last event of an entity stands. */
export function stateSubject(type: string, key: Token): string {
  return `${stateSubjectOfType(type)}.${key}`;
}

/** Subject of the ledger's records of a type; it stands in the stream of the compacted home. */
export function stateLedger(type: string): string {
  return natsSubject("compacted", token(type));
}
