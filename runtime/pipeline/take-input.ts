// A handler's take-over as its runner needs it: the ledger with the one input that it has.
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
  readonly instance: string;
  readonly durableName: string;
  /** How far this process has come. */
  readonly remembered: InputRecord | undefined;
  /** Another instance had it before. */
  readonly onBefore: (before: Predecessor) => void;
  readonly onMissed: (why: string) => void;
}

export async function takeInput(handler: Handler, taking: TakingInput): Promise<Took> {
  const { broker, place, instance, durableName } = taking;
  const { home } = broker;
  const delivered = () => deliveredOf(broker, durableName);
  const earlier = (createdMs: number) => earlierInput(handler, taking, createdMs);
  const start = startOf(handler);
  const taken = await takeOver(broker, { place, input: home, instance, start, earlier, delivered });
  if (taken.before !== undefined && taken.before.instance !== instance)
    taking.onBefore(taken.before);
  const [input] = taken.record.inputs;
  if (input === undefined) throw new RangeError("a ledger has at least one input");
  if (taken.missed !== undefined) {
    const { from, to } = taken.missed;
    taking.onMissed(`positions ${from} to ${to} of ${home} were removed before it saw them`);
  }
  return { ...input, record: taken.record, seq: taken.seq };
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
