// The beginning of a rebuild whose log has lost its head, where all types of the projection have a compacted home: the last
// event of each entity first, then the log behind it.
// S1 What is folded of the compacted home is completed by the projection's ledger as well. All else is read in the log,
// or comes there live: nothing is folded twice. S2 An event of the log that the home has, or has a later one for, is not
// folded again. S3 Tombstones count however old they are: `apply` may keep something of what was deleted.
import { areCompacted, type Handler } from "../../authoring/index.ts";
import type { Broker } from "../../broker/index.ts";
import { startOf } from "../consume.ts";
import { holds } from "../ledger/floor.ts";
import type { InputRecord } from "../ledger/record.ts";
import type { Holding } from "../log/beginning.ts";
import type { Logged } from "../log/sight.ts";
import { type Compacted, originalIn, readCompacted } from "../state/compacted.ts";
import { heldBy, readCuts } from "../state/cut.ts";
import type { Origin } from "../state/message.ts";

export interface FromState {
  /** Where the log goes on, in the home stream. */
  readonly first: number;
  /** Whether an event of the log is folded with the compacted home. */
  has(natsSubject: string, seq: number): boolean;
  /** What is folded before the log, as messages of the log. */
  read(): AsyncIterable<readonly FromBefore[]>;
}

/** A message of the log, or of one that was there before under its name. */
interface FromBefore {
  readonly stream: string;
  readonly message: Logged;
}

/** Whether a new projection of this declaration begins with the compacted home, or could. */
export function couldJoin(handler: Handler): boolean {
  const start = startOf(handler);
  return areCompacted(handler.declaration.from) && (start === "state" || start === "first");
}

/** Undefined where the compacted home does not have all that was cut. */
export async function fromState(
  broker: Broker,
  handler: Handler,
  home: Holding,
  inputs: readonly InputRecord[],
): Promise<FromState | undefined> {
  const { stream, createdMs, head } = home;
  const cuts = await readCuts(broker, handler, createdMs);
  if (cuts === undefined) return undefined;
  const input = inputs.find((one) => one.stream === stream && one.createdMs === createdMs);
  // What was cut before it was read is passed: no take-over comes back to it.
  const floor = Math.max(input?.floor ?? 0, head.seq - 1);
  const first = Math.min(floor, ...cuts.map((cut) => cut.floor)) + 1;
  if (first < head.seq) return undefined;
  const isCompleted = (seq: number) => seq <= floor || holds(input?.above ?? [], seq);
  const isInCuts = heldBy(cuts);
  const isBefore = (origin: Origin) => origin.createdMs !== createdMs;
  const isWanted = (origin: Origin) => isBefore(origin) || isCompleted(origin.position.seq);
  return {
    first,
    has: (natsSubject, seq) => isCompleted(seq) && isInCuts(natsSubject, seq),
    async *read() {
      for await (const chunk of readCompacted(broker, cuts, isWanted))
        yield chunk.flatMap((one) => loggedAs(handler, one, isBefore(one)) ?? []);
    },
  };
}

function loggedAs(handler: Handler, one: Compacted, isBefore: boolean): FromBefore | undefined {
  const found = originalIn(handler, one);
  if (found === undefined) return undefined;
  const { position, natsSubject, timeMs, headers = noBytes, data } = found.original;
  const raw = Buffer.concat([headers, data]);
  const { seq } = position;
  const message = { natsSubject, seq, storedMs: timeMs, raw, headerLength: headers.byteLength };
  // No standing or letter of today is about a position of a log that is gone.
  return { stream: isBefore ? `${position.stream} before` : position.stream, message };
}

const noBytes = new Uint8Array(0);
