// Where declarations mix what is to be kept apart: facts, state, references and commands. Pure: takes what was loaded.
// docs/events.md has a section for each code: what goes wrong, and how it looks when mended.
// M1 Each mixture is told once, with the first handler that has it, however many use the event.
import { type EventType, fieldsOf, type Handler, typesOf } from "../authoring/index.ts";
import { imperativeIn } from "./imperative.ts";

export interface Mixture {
  readonly code:
    | "EDDY_EVENT_FAT_REFERENCE"
    | "EDDY_EVENT_STATE_KEYLESS"
    | "EDDY_EVENT_STATE_UNDELETABLE"
    | "EDDY_EVENT_IS_COMMAND"
    | "EDDY_PROJECTION_OF_REFERENCES";
  /** Of the handler, below the handlers folder. */
  readonly file: string;
  /** What is mixed, in which event or projection, what to do, and where to read on. */
  readonly message: string;
}

/** A mixture before it is known whose it is. */
type Found = Omit<Mixture, "file">;

/** The mixtures in the handlers, and in the event types that they read and emit. */
export function mixturesIn(handlers: readonly Handler[]): readonly Mixture[] {
  const mixtures = new Map<string, Mixture>();
  for (const { file, declaration } of handlers) {
    const { from } = declaration;
    const types = declaration.kind === "reaction" ? [...from, ...declaration.emits] : from;
    const found = types.flatMap(mixturesOf);
    if (declaration.kind === "projection") found.push(...foldedReferences(declaration.name, from));
    for (const { code, message } of found) {
      const told = `${message}. See docs/events.md#${code.toLowerCase()}`;
      if (!mixtures.has(told)) mixtures.set(told, { code, file, message: told });
    }
  }
  return [...mixtures.values()];
}

function mixturesOf(type: EventType): readonly Found[] {
  return [...fatReference(type), ...stateWithout(type), ...command(type)];
}

/** An id, a link, and two more such as a version and a moment. */
const referenceFieldsMax = 4;

function fatReference({ type, schema, options }: EventType): Found[] {
  const fields = options.carries === "reference" ? fieldsOf(schema) : undefined;
  if (fields === undefined) return [];
  const nested = [...fields].filter(([, field]) => {
    return typesOf(field).some((type) => type === "object" || type === "array");
  });
  if (nested.length === 0 && fields.size <= referenceFieldsMax) return [];
  const excess =
    nested.length > 0
      ? `objects or lists (${nested.map(([name]) => name).join(", ")})`
      : `${fields.size} fields (${[...fields.keys()].join(", ")})`;
  const message =
    `${type} is declared as a reference and carries ${excess}. A reference is an id and a link, ` +
    `with at most ${referenceFieldsMax} plain fields: leave the rest to whoever follows the link, ` +
    'or carry the whole state (carries: "state")';
  return [{ code: "EDDY_EVENT_FAT_REFERENCE", message }];
}

function stateWithout({ type, options }: EventType): Found[] {
  if (options.carries !== "state") return [];
  const found: Found[] = [];
  if (options.key === undefined) {
    const message =
      `${type} carries state and does not say of which entity, so that nobody knows what it replaces. ` +
      'Name the field of data that holds its id, such as key: "customerId"';
    found.push({ code: "EDDY_EVENT_STATE_KEYLESS", message });
  }
  if (options.deletion === undefined) {
    const message =
      `${type} carries state and does not say when its entity is gone, so that copies of it stay for ever. ` +
      'Add deletion: "never" if no event of this type says so, "always" if each does, ' +
      'or the boolean that does, such as { field: "deleted" }';
    found.push({ code: "EDDY_EVENT_STATE_UNDELETABLE", message });
  }
  return found;
}

function command({ type }: EventType): Found[] {
  const words = imperativeIn(type);
  if (words === undefined) return [];
  const message =
    `${type} looks like a command: "${words}" tells somebody to do something, and an event has any number of ` +
    "readers, or none. Name what has happened, in the past tense";
  return [{ code: "EDDY_EVENT_IS_COMMAND", message }];
}

function foldedReferences(name: string, from: readonly EventType[]): Found[] {
  const thin = from.filter(({ options }) => options.carries === "reference");
  if (thin.length === 0) return [];
  const message =
    `the projection ${name} folds references (${thin.map(({ type }) => type).join(", ")}): a thin event has no ` +
    "state to fold. Fold an event that carries state, or enrich it first: enrich(…) follows the link and emits " +
    "what it finds as state";
  return [{ code: "EDDY_PROJECTION_OF_REFERENCES", message }];
}
