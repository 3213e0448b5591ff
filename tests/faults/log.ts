// The log as it is read after a fault: message by message, with none of the runtime's own readers and decoders.
import { DeliverPolicy, type JsMsg, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { untoken } from "../../runtime/events/index.ts";
import { types } from "./load.ts";

export interface Logged {
  readonly kind: keyof typeof types;
  readonly seq: number;
  readonly timeMs: number;
  /** Of an event: its id. Of an effect: the id of the event that it names as its cause. */
  readonly id: string;
  /** Id of the message itself. */
  readonly ownId: string;
}

/** Events and effects above a sequence, in stream order. */
export async function readLog(nc: NatsConnection, above: number): Promise<Logged[]> {
  const found: Logged[] = [];
  const consumer = await jetstream(nc).consumers.get("EVENTS", {
    filter_subjects: "events.>",
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: above + 1,
  });
  if ((await consumer.info()).num_pending === 0) return found;
  await new Promise<void>((resolve, reject) => {
    const take = (message: JsMsg) => {
      const entry = entryOf(message);
      if (entry !== undefined) found.push(entry);
      if (message.info.pending === 0) resolve();
    };
    consumer.consume({ max_messages: 5_000, callback: take }).catch(reject);
  });
  await consumer.delete();
  return found;
}

function entryOf(message: JsMsg): Logged | undefined {
  const value = (name: string) => message.headers?.get(`ce-${name}`) ?? "";
  const type = value("type");
  const kind = kinds.find((name) => types[name] === type);
  if (kind === undefined) return undefined;
  const ownId = value("id");
  return {
    kind,
    seq: message.seq,
    timeMs: message.info.timestampNanos / 1e6,
    id: kind === "placed" ? ownId : value("causationid"),
    ownId,
  };
}

const kinds = ["placed", "noted", "tried"] as const;

/** Subjects of a stream below a filter, with how many messages each holds; empty where there is no such stream. */
async function subjectsOf(
  nc: NatsConnection,
  stream: string,
  filter: string,
): Promise<ReadonlyMap<string, number>> {
  const manager = await jetstreamManager(nc);
  const info = await manager.streams
    .info(stream, { subjects_filter: filter })
    .catch(() => undefined);
  return new Map(Object.entries(info?.state.subjects ?? {}));
}

/** Dead letters, as `<handler> <sequence of the event>`. */
export async function readLetters(nc: NatsConnection): Promise<Set<string>> {
  const letters = await subjectsOf(nc, "DEAD", "dead.eddy.*.EVENTS.*");
  return new Set(
    [...letters.keys()].map((subject) => {
      const [, , handler = "", , seq = ""] = subject.split(".");
      return `${untoken(handler) ?? handler} ${seq}`;
    }),
  );
}

/** The projection's entries by key, as they lie in its bucket. */
export async function readEntries(
  nc: NatsConnection,
  projection: string,
): Promise<ReadonlyMap<string, unknown>> {
  const stream = `KV_${projection}`;
  const manager = await jetstreamManager(nc);
  const entries = new Map<string, unknown>();
  for (const subject of (await subjectsOf(nc, stream, `$KV.${projection}.*`)).keys()) {
    const message = await manager.direct.getMessage(stream, { last_by_subj: subject });
    if (message !== null) entries.set(subject.split(".").at(-1) ?? "", message.json());
  }
  return entries;
}
