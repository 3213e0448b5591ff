// An event whose data is outside, with its data: fetched for one step of its handler, and let go of after it. So what
// waits in lanes, for a retry or as a letter has the reference alone.
// F1 Bytes in memory are bounded for each handler. F2 What is not there, or is not what the event says, is a failure of
// the event; the server's silence is none, and is waited for. F3 What is fetched is exactly what was stored.
import { Permanent } from "../../authoring/index.ts";
import type { Broker, Found } from "../../broker/index.ts";
import {
  type CloudEvent,
  type DataRef,
  datarefOf,
  decodeData,
  EddyError,
  messageWith,
  nameOf,
  putBack,
} from "../../events/index.ts";
import type { EventJob, Scope } from "../scope.ts";
import { untilAnswered } from "../until-answered.ts";
import { type Budget, createBudget } from "./budget.ts";

/** What a step of a handler needs of an event. */
export type Whole = Pick<EventJob, "event" | "original">;

export interface Fetched extends Whole {
  /** The step is over. */
  release(): void;
}

const bytesMax = 16 * 2 ** 20; // as much as a handler holds of all other events
const budgets = new WeakMap<Scope, Budget>();

/** The event with its data; undefined where the session was over before. Rejects with why there is none. */
export async function fetchWhole(scope: Scope, job: EventJob): Promise<Fetched | undefined> {
  const { event, original } = job;
  const ref = refOf(event, scope.broker);
  const release = await budgetOf(scope).enter(ref.bytes);
  try {
    const found = await untilAnswered(scope, "EDDY_OBJECT_NOT_READ", () =>
      scope.broker.objects.get(ref),
    );
    if (found !== undefined)
      return Object.assign(wholeOf(event, original, ref, found), { release });
  } catch (error) {
    release();
    throw error;
  }
  release();
  return undefined;
}

/** The same for whoever reads the log aside. Throws `EDDY_READ_FAILED` as well. */
export async function fetchEvent(broker: Broker, event: CloudEvent): Promise<CloudEvent> {
  const ref = refOf(event, broker);
  return withData(event, ref, await broker.objects.get(ref)).event;
}

/** The same for several versions that see the event: what makes each of them an event of its own, and its message. */
export async function fetchAside(
  broker: Broker,
  event: CloudEvent,
): Promise<(one: Whole) => Whole> {
  const ref = refOf(event, broker);
  const found = await broker.objects.get(ref);
  let given = false;
  return ({ event: own, original }) => {
    // Data that is bytes is not copied when it is decoded.
    const data = given && found.kind === "data" ? Buffer.from(found.data) : undefined;
    given = true;
    return wholeOf(own, original, ref, data === undefined ? found : { kind: "data", data });
  };
}

function budgetOf(scope: Scope): Budget {
  const budget = budgets.get(scope) ?? createBudget(bytesMax);
  budgets.set(scope, budget);
  return budget;
}

function refOf(event: CloudEvent, { objects }: Broker): DataRef {
  const ref = datarefOf(event);
  if (ref === undefined) {
    const text = `${nameOf(event)} refers to data that is not its own: its dataref is broken, or was copied from another event. Mend who made it; the event can only be discarded`;
    throw permanent("EDDY_DATAREF", text);
  }
  if (ref.bytes <= objects.bytesMax) return ref;
  const text = `the data of ${nameOf(event)} has ${ref.bytes} bytes; ${objects.bytesMax} are taken. Raise objects.maxBytes, then give it back: eddy dead replay`;
  throw permanent("EDDY_EVENT_TOO_LARGE", text);
}

function wholeOf(
  event: CloudEvent,
  original: EventJob["original"],
  ref: DataRef,
  found: Found,
): Whole {
  const whole = withData(event, ref, found);
  return {
    event: whole.event,
    // Made for whoever asks: an isolated handler, to which events go as bytes.
    get original() {
      const { headerLines, data } = messageWith(whole.event, whole.bytes);
      const headers = Buffer.from(`NATS/1.0\r\n${headerLines}\r\n`, "latin1");
      return { ...original, headers, data };
    },
  };
}

function withData(event: CloudEvent, ref: DataRef, found: Found) {
  const what = `the data of ${nameOf(event)}, object ${ref.name} of bucket ${ref.bucket},`;
  const then = "It is tried again, and is a dead letter after the last attempt";
  if (found.kind === "missing") {
    const text = `${what} is not there: it was removed, or is not mirrored yet. ${then}; put it back, then: eddy dead replay`;
    throw new EddyError("EDDY_OBJECT_MISSING", text);
  }
  if (found.kind === "other") {
    const text = `${what} is not what was stored: ${found.why}. ${then}; put the right one back, then: eddy dead replay`;
    throw new EddyError("EDDY_OBJECT_CHANGED", text);
  }
  const decoded = decodeData(found.data, event.datacontenttype);
  if (decoded.ok) return { event: Object.freeze(putBack(event, decoded.data)), bytes: found.data };
  throw permanent(decoded.fault.code, `${what} is no data of its event: ${decoded.fault.message}`);
}

function permanent(code: string, text: string): Permanent {
  return new Permanent(text, { cause: new EddyError(code, text) });
}
