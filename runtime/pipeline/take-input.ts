// A handler's take-over as its runner needs it: the ledger with how far it has come in each of its streams.
import type { Handler } from "../authoring/index.ts";
import { type Broker, consumerInfo } from "../broker/index.ts";
import { deliveredOf, startOf } from "./consume.ts";
import type { Predecessor } from "./crashes/suspects.ts";
import type { Place } from "./ledger/place.ts";
import type { InputRecord } from "./ledger/record.ts";
import { takeOver } from "./ledger/takeover.ts";
import type { Took } from "./rebuild/turns.ts";

export interface TakingInput {
  readonly broker: Broker;
  readonly place: Place;
  /** The streams that it reads, the home stream first. */
  readonly streams: readonly string[];
  readonly instance: string;
  readonly durableName: string;
  /** How far this process has come in the home stream. */
  readonly remembered: InputRecord | undefined;
  /** Another instance had it before. */
  readonly onBefore: (before: Predecessor) => void;
  readonly onMissed: (why: string) => void;
}

export async function takeInput(handler: Handler, taking: TakingInput): Promise<Took> {
  const { broker, place, streams, instance, durableName } = taking;
  const delivered = (stream: string) => deliveredOf(broker, stream, durableName);
  const earlier = (createdMs: number) => earlierInput(handler, taking, createdMs);
  const start = startOf(handler);
  const taken = await takeOver(broker, { place, streams, instance, start, earlier, delivered });
  if (taken.before !== undefined && taken.before.instance !== instance)
    taking.onBefore(taken.before);
  for (const { stream, from, to } of taken.missed)
    taking.onMissed(`positions ${from} to ${to} of ${stream} were removed before it saw them`);
  return { record: taken.record, seq: taken.seq };
}

// A projection without its ledger has lost its entries too.
async function earlierInput(
  { declaration }: Handler,
  { broker, durableName, remembered }: TakingInput,
  createdMs: number,
): Promise<InputRecord | undefined> {
  if (declaration.kind === "projection") return undefined;
  if (remembered !== undefined) return remembered;
  const info = await consumerInfo(broker.jsm, broker.home, durableName);
  if (info?.config.metadata?.["eddy.kind"] !== "reaction") return undefined;
  return { stream: broker.home, createdMs, floor: info.ack_floor.stream_seq, above: [] };
}
