// A handler's durable consumer on each stream that it reads: what it is to be, and whether this instance is its only puller.
// C1 The consumer says which instance pulls it; the ledger says who may. Who does not pull at the moment, because it holds
// so much, says that it is there. C2 What the server counts as delivered has arrived here: else somebody else has it, and
// nobody would get it before the ack wait is over.
import {
  areCompacted,
  type Handler,
  listOf,
  parseDuration,
  type Start,
} from "../authoring/index.ts";
import {
  AckPolicy,
  type Broker,
  type ConsumerInfo,
  consumerInfo,
  durable,
  nanos,
} from "../broker/index.ts";
import { narrowestFilter } from "../events/index.ts";
import type { Delivered } from "./crashes/suspects.ts";
import { consumerName } from "./ledger/place.ts";
import { shapeOf } from "./rebuild/shape.ts";

/** Un-acked deliveries that the server lets a handler have: the bound on what is in flight. */
const maxAckPending = 8_192;
const lookEveryMs = 2_000;
const stillLooks = 3;

/** Two handlers with the same filter are served by the same consumer. */
export function filterOf({ declaration }: Handler): string {
  return narrowestFilter(listOf(declaration.from).map((type) => type.type));
}

/** The streams that a handler reads, the home stream first. */
export function inputsOf(
  { declaration }: Pick<Handler, "declaration">,
  home: string,
): readonly string[] {
  const further = declaration.kind === "projection" ? (declaration.options.streams ?? []) : [];
  return [home, ...further.filter((stream) => stream !== home)];
}

/** The streams beside the home stream that its handler reads, as its consumer says when no runtime runs. */
export function furtherStreams(consumer: ConsumerInfo | undefined): readonly string[] {
  return JSON.parse(consumer?.config.metadata?.["eddy.streams"] ?? "[]");
}

export function consumerConfig(
  { app, home }: Pick<Broker, "app" | "home">,
  handler: Handler,
  instance: string,
  defaultDeadlineMs: number,
) {
  const { declaration, file, version, name } = handler;
  const deadlineMs = parseDuration(declaration.options.deadline) ?? defaultDeadlineMs;
  const shape = shapeOf(handler);
  return {
    ...durable,
    durable_name: consumerName(app, name),
    ack_policy: AckPolicy.All,
    ack_wait: nanos(ackWaitMs(deadlineMs)),
    max_ack_pending: maxAckPending,
    filter_subject: filterOf(handler),
    metadata: {
      "eddy.handler": name,
      "eddy.kind": declaration.kind,
      "eddy.file": file,
      "eddy.version": version,
      "eddy.instance": instance,
      // What `eddy reconcile` has to count, when no runtime runs that could tell.
      "eddy.types": JSON.stringify(listOf(declaration.from).map((type) => type.type)),
      "eddy.streams": JSON.stringify(inputsOf(handler, home).slice(1)),
      "eddy.start": String(startOf(handler)),
      ...(shape === undefined ? {} : { "eddy.shape": shape }),
    },
  };
}

/** Where a handler begins that has never run. */
export function startOf({ declaration }: Handler): Start {
  const { kind, from, options } = declaration;
  if (options.start !== undefined) return options.start;
  if (kind === "reaction") return "now";
  return areCompacted(from) && inputsOf({ declaration }, "").length === 1 ? "state" : "first";
}

/** How long the server waits for an ack: longer than any attempt may take. */
export function ackWaitMs(deadlineMs: number): number {
  return Math.max(60_000, 2 * deadlineMs + 30_000);
}

/** What the server has delivered of the handler's events in one of its streams. */
export async function deliveredOf(
  broker: Broker,
  stream: string,
  name: string,
): Promise<Delivered | undefined> {
  const info = await consumerInfo(broker.jsm, stream, name);
  if (info === undefined) return undefined;
  return {
    upTo: info.delivered.stream_seq,
    unacked: info.num_ack_pending,
    pulled: info.num_waiting > 0,
  };
}

export interface Watched {
  readonly broker: Broker;
  readonly stream: string;
  readonly name: string;
  readonly instance: string;
  /** Deliveries that have arrived here since the consumer was wound. */
  readonly received: () => number;
  readonly onForeign: (why: string) => void;
  /** It holds as much as it may, and does not pull. */
  readonly isFull: () => boolean;
  /** Nobody else pulls. */
  readonly onLook: (info: ConsumerInfo) => void;
}

/** Looks now and then whether somebody else pulls. Returns what ends it. */
export function watchPullers({ broker, stream, name, instance, ...watched }: Watched): () => void {
  const { received, isFull, onForeign, onLook } = watched;
  let before = -1; // what had arrived when more, or less, was delivered
  let lastArrived = -1; // at the look before
  let still = 0; // looks since then at which nothing more had: on a busy machine much is on its way for seconds
  const look = async () => {
    const info = await consumerInfo(broker.jsm, stream, name).catch(() => undefined);
    if (info === undefined) return; // gone or not answered: the reader notices by itself
    const puller = info.config.metadata?.["eddy.instance"];
    if (puller !== instance) return onForeign("another instance pulls its consumer");
    const { consumer_seq: delivered } = info.delivered;
    const arrived = received();
    const pausing = info.num_waiting === 0 && arrived === lastArrived;
    lastArrived = arrived;
    if (isFull() || pausing) {
      const metadata = { ...info.config.metadata, [fullSince]: new Date().toISOString() };
      await broker.jsm.consumers.update(stream, name, { metadata }).catch(() => {});
    }
    onLook(info);
    still = delivered !== arrived && arrived === before ? still + 1 : 0;
    before = delivered === arrived ? -1 : arrived;
    if (still === stillLooks)
      onForeign(`${delivered} events were delivered, but ${arrived} came here`);
  };
  const timer = setInterval(() => void look(), lookEveryMs);
  return () => clearInterval(timer);
}

const fullSince = "eddy.full";
const fullMs = 10_000;

/** Whether somebody pulls the consumer, or said a moment ago that it is too full to pull. */
export function isPulled({ num_waiting, config }: ConsumerInfo, nowMs: number): boolean {
  const full = Date.parse(config.metadata?.[fullSince] ?? "");
  return num_waiting > 0 || nowMs - full < fullMs;
}

const standbyLookMs = 1_000;
const silentLooks = 4; // three may fall between two words of somebody who is full

/** Resolves once nobody pulls the consumer any more, or `stopped` says so. Whoever pulls is left alone. */
export async function untilNobodyPulls(
  broker: Broker,
  stream: string,
  name: string,
  pause: (ms: number) => Promise<void>,
  stopped: () => boolean,
): Promise<void> {
  let before: string | undefined;
  for (let silent = 0; !stopped() && silent < silentLooks; ) {
    await pause(standbyLookMs);
    const info = await consumerInfo(broker.jsm, stream, name).catch(() => null);
    if (info === null) continue;
    const now = info && signOfLife(info);
    const silence = info === undefined || (info.num_waiting === 0 && now === before);
    silent = silence ? silent + 1 : 0;
    before = now;
  }
}

/** What changes while somebody pulls, also where a look falls between two pulls. The time that somebody full says is by
 * the other one's clock: only whether it moves counts. */
function signOfLife({ delivered, ack_floor, config }: ConsumerInfo): string {
  return `${delivered.consumer_seq} ${ack_floor.consumer_seq} ${config.metadata?.[fullSince]}`;
}
