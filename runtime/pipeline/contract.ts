// What a handler takes: the subjects it wants of those its filter delivers, and whether an event fits its contract.
// Reads declarations, decides nothing else. Throws for nothing.
import { type Handler, leavesOut, listOf } from "../authoring/index.ts";
import { validatorOf } from "../contracts/index.ts";
import {
  type CloudEvent,
  describeThrown,
  EddyError,
  type Fault,
  inputError,
  isAway,
  nameOf,
  subjectOfType,
} from "../events/index.ts";
import type { Original } from "./retry/parcel.ts";

/** The type that a subject promises, by the subject without its key token. */
export function wantedSubjects({ declaration: { from } }: Handler) {
  const types = new Map(listOf(from).map(({ type }) => [subjectOfType(type), type] as const));
  return { from, types };
}

/** Whether the handler's `where` leaves the event out. Whose data is outside is looked at once it is there. */
export function isLeftOut({ declaration }: Handler, event: CloudEvent): boolean {
  return !isAway(event) && leavesOut(declaration, event);
}

/** Why the handler cannot take the event, where it cannot. Data that is outside is checked once it is there. */
export function contractError(handler: Handler, event: CloudEvent): EddyError | undefined {
  const type = handler.declaration.from.find((known) => known.type === event.type);
  const what = () => `${handler.name} cannot take ${nameOf(event)}`; // asked for each event, needed for few
  if (type === undefined) {
    const text = `${what()}: it does not read this type any more. Give it back once it does, or discard it`;
    return inputError("EDDY_EVENT_UNWANTED", text);
  }
  if (isAway(event)) return undefined;
  try {
    const wrong = validatorOf(type.schema)(event.data);
    if (wrong.length === 0) return undefined;
    const text = `${what()}: ${wrong.join("; ")}. Fix the producer or the schema, then give it back: eddy dead replay`;
    return inputError("EDDY_DATA_INVALID", text);
  } catch (cause) {
    const text = `${what()}: its schema does not compile: ${describeThrown(cause).message}. Fix it, then give it back: eddy dead replay`;
    return new EddyError("EDDY_DATA_INVALID", text, {}, { cause });
  }
}

/** An event on a subject that is for another type. */
export function subjectError(event: CloudEvent, natsSubject: string, type: string): EddyError {
  const text = `${nameOf(event)} was stored on ${natsSubject}, which is for events of type ${type}`;
  return inputError("EDDY_EVENT_ATTRIBUTE", text, { attribute: "type" });
}

/** A message that is no event. */
export function faultError(
  fault: Fault,
  { position, natsSubject: subject }: Pick<Original, "position" | "natsSubject">,
): EddyError {
  const attribute = fault.attribute === undefined ? {} : { attribute: fault.attribute };
  return inputError(
    fault.code,
    `the message at ${position.stream} ${position.seq} (${subject}) is no event: ${fault.message}`,
    attribute,
  );
}
