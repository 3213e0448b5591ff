// Reading projections: lists, keys, entries, changes. Needs no pipeline and no node: only the server.
// R1 Only a bucket whose stream has the projection's cursor is a projection; what other name comes from outside
//    never reaches a subject.   R2 A message without bytes is a deleted entry, whatever marked it: JSON has bytes.
// R3 A watch gives the entries as they are, then each change after that, also over a reconnect or a restart of
//    the server, without a gap.
import { setTimeout as sleep } from "node:timers/promises";
import {
  type Consumer,
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type NatsConnection, readMessage, type StreamInfo, streamInfo } from "../broker/index.ts";
import { describeThrown, EddyError, token, untoken } from "../events/index.ts";
import type { Reading, ReadWait } from "../pipeline/index.ts";
import { answered, notReachable } from "./answered.ts";
import { type Reach, reachOf, untilReached } from "./reach.ts";

export interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly revision: number;
  readonly time: Date;
}

export interface Change {
  readonly key: string;
  /** null: deleted. */
  readonly value: unknown;
  readonly revision: number;
}

export interface ProjectionReader {
  /** All projections by name. Entries are exact up to `countedMax`; above, deleted ones count for a while. */
  list(): Promise<readonly { readonly name: string; readonly entries: number }[]>;
  /** Sorted keys behind `after`; `next` is the `after` of the next page. Undefined: no such projection. */
  keys(
    name: string,
    page: { readonly limit: number; readonly after?: string },
  ): Promise<{ readonly keys: readonly string[]; readonly next?: string } | undefined>;
  get(name: string, key: string): Promise<Entry | undefined>;
  /** How far it has come, once it has passed the position to wait for; undefined: no such projection, or nobody can
   * tell at the moment. Read before the entry, whose value then reflects at least that.
   * @throws EddyError `EDDY_PROJECTION_BEHIND`, `EDDY_PROJECTION_LACKS`, `EDDY_PROJECTION_INPUT`: see reach.ts. */
  reach(name: string, wait?: ReadWait): Promise<Reach | undefined>;
  /** Ends with the signal. Throws `EDDY_PROJECTION_UNKNOWN`, and where the connection is closed. */
  watch(
    name: string,
    options: { readonly key?: string; readonly signal: AbortSignal },
  ): AsyncIterable<Change>;
}

/** Counting goes through all keys: 100,000 take the server about a second. */
const countedMax = 100_000;

/** `app` and `home` say whose projections' progress is told. */
export async function openProjectionReader(
  nc: NatsConnection,
  names: { readonly app: string; readonly home: string },
): Promise<ProjectionReader> {
  const jsm = await answered(jetstreamManager(nc));
  const js = jetstream(nc);
  const reading: Reading = { nc, jsm, ...names };
  const known = new Set<string>();

  async function bucketOf(name: string): Promise<StreamInfo | undefined> {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) return undefined;
    const info = await streamInfo(jsm, `KV_${name}`);
    if (info === undefined || !isProjection(info, name)) return undefined;
    known.add(name);
    return info;
  }

  return {
    list: () => answered(listProjections(js, jsm)),
    keys: (name, { limit, after }) =>
      answered(async () => {
        if ((await bucketOf(name)) === undefined) return undefined;
        const all = (await liveKeys(js, name)).sort();
        const from = after === undefined ? 0 : all.findIndex((key) => key > after);
        const keys = from < 0 ? [] : all.slice(from, from + limit);
        const more = from >= 0 && from + limit < all.length;
        return { keys, ...(more ? { next: keys.at(-1) as string } : {}) };
      }),
    get: (name, key) =>
      answered(async () => {
        if (!known.has(name) && (await bucketOf(name)) === undefined) return undefined;
        const last_by_subj = `$KV.${name}.${token(key)}`;
        const stored = await readMessage(nc, `KV_${name}`, { last_by_subj });
        if (stored === undefined || stored.data.byteLength === 0) return undefined;
        const { seq, time, data } = stored;
        return { key, value: parseEntry(name, key, data), revision: seq, time };
      }),
    reach: (name, wait) =>
      answered(async () => {
        if (!known.has(name) && (await bucketOf(name)) === undefined) return undefined;
        if (wait === undefined) return await reachOf(reading, name, names.home);
        return await untilReached(reading, name, wait);
      }),
    async *watch(name, { key, signal }) {
      const info = await answered(bucketOf(name));
      if (info === undefined) throw unknownProjection(name);
      const filter = `$KV.${name}.${key === undefined ? ">" : token(key)}`;
      const presentUntil = info.state.last_seq;
      for await (const message of follow(nc, js, info.config.name, filter, signal)) {
        const deleted = message.data.byteLength === 0;
        if (deleted && message.seq <= presentUntil) continue; // gone before the watch began
        const changed = untoken(message.subject.slice(`$KV.${name}.`.length));
        if (changed === undefined) continue;
        const value = deleted ? null : parseEntry(name, changed, message.data);
        yield { key: changed, value, revision: message.seq };
      }
    },
  };
}

function isProjection({ config }: StreamInfo, name: string): boolean {
  return config.name === `KV_${name}` && config.subjects.includes(`cursor.${name}`);
}

async function listProjections(js: JetStreamClient, jsm: JetStreamManager) {
  const found: { name: string; entries: number }[] = [];
  for await (const info of jsm.streams.list("cursor.*")) {
    const name = info.config.name.slice("KV_".length);
    if (!isProjection(info, name)) continue;
    found.push({ name, entries: await countEntries(js, jsm, name, info) });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function countEntries(
  js: JetStreamClient,
  jsm: JetStreamManager,
  name: string,
  { state, config }: StreamInfo,
): Promise<number> {
  const subjects = state.num_subjects ?? state.messages;
  if (subjects <= countedMax) return (await liveKeys(js, name)).length;
  const ledger = await streamInfo(jsm, config.name, { subjects_filter: "cursor.>" });
  return subjects - Object.keys(ledger?.state.subjects ?? {}).length;
}

/** The keys of all entries that are not deleted, in no order. */
async function liveKeys(js: JetStreamClient, name: string): Promise<string[]> {
  const keys: string[] = [];
  const prefix = `$KV.${name}.`;
  const consumer = await js.consumers.get(`KV_${name}`, {
    filter_subjects: `${prefix}>`,
    deliver_policy: DeliverPolicy.LastPerSubject,
    headers_only: true,
    inactive_threshold: 10_000,
  });
  try {
    let left = (await consumer.info(true)).num_pending;
    while (left > 0) {
      const messages = await consumer.fetch({
        max_messages: Math.min(left, 20_000),
        expires: 2_000,
      });
      let received = 0;
      for await (const message of messages) {
        received++;
        left = message.info.pending;
        if (left === 0) messages.stop();
        if (message.headers?.get("Nats-Msg-Size") === "0") continue;
        const key = untoken(message.subject.slice(prefix.length));
        if (key !== undefined) keys.push(key);
      }
      if (received === 0) break; // what was pending has been replaced or removed
    }
  } finally {
    await discard(consumer);
  }
  return keys;
}

/** Messages of a filter from the last of each subject on, for as long as the stream is there. */
async function* follow(
  nc: NatsConnection,
  js: JetStreamClient,
  stream: string,
  filter: string,
  signal: AbortSignal,
): AsyncGenerator<JsMsg> {
  let after: number | undefined;
  let messages: ConsumerMessages | undefined;
  const stop = () => messages?.stop();
  signal.addEventListener("abort", stop);
  try {
    while (!signal.aborted) {
      if (nc.isClosed()) throw notReachable(new Error("the connection is closed"));
      const consumer = await openConsumer(js, stream, filter, after).catch(missing);
      try {
        messages = await consumer?.consume({
          expires: 5_000,
          idle_heartbeat: 1_000,
          max_messages: 1_000,
          abort_on_missing_resource: true, // then it is opened anew below, where it was
        });
        if (signal.aborted) stop();
        for await (const message of messages ?? []) {
          after = message.seq;
          yield message;
        }
      } catch {
        // The consumer went away with a server that was restarted, or was lost in a long cut.
      } finally {
        stop();
        if (consumer !== undefined) await discard(consumer);
      }
      await sleep(250, undefined, { signal }).catch(() => {});
    }
  } finally {
    signal.removeEventListener("abort", stop);
  }

  // A stream that is gone ends the watch; everything else is a server that does not answer yet.
  async function missing(): Promise<undefined> {
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    const info = await streamInfo(jsm, stream).catch(() => "no answer" as const);
    if (info === undefined) throw unknownProjection(stream.slice("KV_".length));
  }
}

function openConsumer(
  js: JetStreamClient,
  stream: string,
  filter: string,
  after: number | undefined,
): Promise<Consumer> {
  const from =
    after === undefined
      ? { deliver_policy: DeliverPolicy.LastPerSubject }
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: after + 1 };
  return js.consumers.get(stream, { filter_subjects: filter, inactive_threshold: 30_000, ...from });
}

// Where it fails, the server removes the consumer itself when nobody has asked for a while.
async function discard(consumer: Consumer): Promise<void> {
  await consumer.delete().catch(() => false);
}

function parseEntry(name: string, key: string, data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch (cause) {
    throw new EddyError(
      "EDDY_ENTRY_UNREADABLE",
      `the entry ${JSON.stringify(key)} of projection ${name} is no JSON: ${describeThrown(cause).message}. ` +
        `Somebody else has written into the bucket ${name}; remove that entry`,
      { projection: name },
      { cause },
    );
  }
}

function unknownProjection(name: string): EddyError {
  return new EddyError(
    "EDDY_PROJECTION_UNKNOWN",
    `there is no projection ${JSON.stringify(name.slice(0, 100))} on this server. See: eddy projection list`,
    { projection: name.slice(0, 100) },
  );
}
