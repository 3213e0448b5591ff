// The built-in handlers: one for each event type that has a compacted home, as long as a handler of the app reads or emits
// it. One a type, so that a type that comes later is read from its first event, and holds up no other.
// B1 While a type is declared as before, its handler is the same object: nothing is swapped.
import {
  deleterOf,
  type EventType,
  entityKeyOf,
  type Handler,
  isCompacted,
  type Projection,
} from "../../authoring/index.ts";
import { stateHandlerName } from "./names.ts";

const made = new WeakMap<EventType, Handler>();

/** A set of handlers, and the built-in ones that belong to it. */
export function withStateHandlers(handlers: readonly Handler[]): readonly Handler[] {
  const found = new Map<string, Handler>();
  for (const { file, version, declaration } of handlers) {
    const emits = declaration.kind === "reaction" ? declaration.emits : [];
    for (const type of [...declaration.from, ...emits]) {
      if (!isCompacted(type) || found.has(type.type)) continue;
      const handler = made.get(type) ?? stateHandler(type, file, version);
      made.set(type, handler);
      found.set(type.type, handler);
    }
  }
  return [...handlers, ...found.values()];
}

function stateHandler(type: EventType, file: string, version: string): Handler {
  return { name: stateHandlerName(type.type), file, version, declaration: compactionOf(type) };
}

/** A projection of the type, and of the one that ends its entities, into the compacted home. */
function compactionOf(state: EventType): Projection {
  const deleter = deleterOf(state);
  const from = deleter === undefined || deleter.type === state.type ? [state] : [state, deleter];
  const typeOf = (type: string) => from.find((known) => known.type === type) ?? state;
  return {
    kind: "projection",
    name: stateHandlerName(state.type),
    from,
    options: { start: "first" },
    matches: undefined,
    indexes: [],
    valuesIn: () => undefined,
    key: (event) => entityKeyOf(typeOf(event.type), event.data as never) ?? "",
    apply: (_, event) => event, // never asked: compact.ts stores the message itself
  };
}
