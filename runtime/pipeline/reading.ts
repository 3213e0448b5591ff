// One stream of a running handler: its durable consumer, wound to where the ledger stands, read and watched.
// R1 What is made for a session goes with it, however it ends.
import type { Handler } from "../authoring/index.ts";
import {
  type Broker,
  type ConsumerInfo,
  type Delivery,
  ensureConsumer,
  readDurable,
  windConsumer,
} from "../broker/index.ts";
import { createCatchUp } from "./catch-up.ts";
import { consumerConfig, filterOf, watchPullers } from "./consume.ts";
import type { Trying } from "./crashes/trial.ts";
import type { Intake } from "./intake.ts";
import { consumerName } from "./ledger/place.ts";

export interface Reading {
  /** There may be room for more. */
  more(): void;
  /** Reads no more; it is watched on while what it brought is concluded. */
  stop(): void;
  end(): void;
}

export interface ReadingParts {
  readonly broker: Broker;
  readonly instance: string;
  readonly deadlineMs: number;
  /** The version that the consumer is made for, and the one that runs. */
  readonly prepared: Handler;
  readonly handler: () => Handler;
  readonly intake: Intake;
  readonly trial: Trying | undefined;
  /** All up to here is completed. */
  readonly floor: number;
  readonly hasRoom: () => boolean;
  /** Suspects of a crash are tried: what comes is no backlog. */
  readonly isTrying: () => boolean;
  readonly onBroken: (code: string, why: string) => void;
}

export async function startReading(parts: ReadingParts): Promise<Reading> {
  const { broker, instance, prepared, handler, intake, trial, onBroken } = parts;
  const { stream } = intake;
  const name = consumerName(broker.app, prepared.name);
  const config = consumerConfig(broker, prepared, instance, parts.deadlineMs);
  await ensureConsumer(broker.jsm, stream, config);
  const catchUp = createCatchUp({
    ...{ broker, stream, name },
    filter: () => filterOf(handler()),
    came: () => ({ all: intake.received, unwanted: intake.unwanted }),
  });
  const wound = await windConsumer(broker.jsm, stream, name, parts.floor + 1);
  if (trial === undefined) await catchUp.look(wound);
  const hasRoom = () => parts.hasRoom() && trial?.hasRoom !== false;
  const take = (delivery: Delivery) => (trial ?? intake).take(delivery);
  const read = readDurable(broker, stream, name, take, hasRoom);
  void read.broken.then((why) => onBroken("EDDY_CONSUMER_BROKEN", why));
  const unwatch = watchPullers({
    ...{ broker, stream, name, instance },
    received: () => intake.received + (trial?.held ?? 0),
    isFull: () => !hasRoom(),
    onForeign: (why) => onBroken("EDDY_DELIVERY_GAP", why),
    onLook: (now: ConsumerInfo) => {
      if (!parts.isTrying()) catchUp.look(now).catch(() => {}); // at the next one
    },
  });
  return {
    more: read.more,
    stop: read.stop,
    end() {
      read.stop();
      unwatch();
    },
  };
}
