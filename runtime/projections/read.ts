// Reading projections: lists, keys, entries, changes. Needs no pipeline and no node: only the server.
// R1 Only a bucket whose stream has the projection's cursor is a projection; what other name comes from outside
//    never reaches a subject.   R2 A message without bytes is a deleted entry, whatever marked it: JSON has bytes.
import {
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type NatsConnection, type StreamInfo, streamInfo } from "../broker/index.ts";
import { token, untoken } from "../events/index.ts";
import { copyOf, type Reading, type ReadWait } from "../pipeline/index.ts";
import { answered } from "./answered.ts";
import { parseEntry, unknownProjection } from "./entry.ts";
import { discard } from "./follow.ts";
import { createGathered, type Stored } from "./gathered.ts";
import { textOf, type Version } from "./local/copy.ts";
import { type Reach, reachOf, untilReached } from "./reach.ts";
import { createSwitches } from "./switched.ts";
import { type Change, type WatchOptions, watchEntries } from "./watch.ts";

export interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly revision: number;
  readonly time: Date;
}

/** Reads entries as they are stored. */
export interface VersionReader {
  version(name: string, key: string): Promise<Version>;
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
  /** The entries as they are, or the changes since a revision, and then each change. Rejects with
   * `EDDY_PROJECTION_UNKNOWN`. The changes end with the signal, and throw where the connection is closed. */
  watch(name: string, options: WatchOptions): Promise<AsyncGenerator<Change>>;
}

/** Counting goes through all keys: 100,000 take the server about a second. */
const countedMax = 100_000;

/** `app` and `home` say whose projections' progress is told. */
export async function openProjectionReader(
  nc: NatsConnection,
  names: { readonly app: string; readonly home: string },
): Promise<ProjectionReader & VersionReader> {
  const jsm = await answered(jetstreamManager(nc));
  const js = jetstream(nc);
  const reading: Reading = { nc, jsm, ...names };
  const known = new Map<string, StreamInfo>();
  const readLast = createGathered(nc);
  const switches = createSwitches(nc);

  async function bucketOf(name: string): Promise<StreamInfo | undefined> {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) return undefined;
    const info = await streamInfo(jsm, `KV_${name}`);
    if (info === undefined || !isProjection(info, name)) return undefined;
    known.set(name, info);
    return info;
  }

  // Copies first: what is put into its place meanwhile is found there.
  async function keysNow(name: string): Promise<string[]> {
    const id = await switches.now(name);
    if (id === undefined) return (await keysBelow(js, name, `$KV.${name}.`)).there;
    const copies = await keysBelow(js, name, copyOf(name, id, ">").slice(0, -1));
    const { there } = await keysBelow(js, name, `$KV.${name}.`);
    const gone = new Set(copies.gone);
    return [...new Set([...copies.there, ...there.filter((key) => !gone.has(key))])];
  }

  async function storedOf(name: string, key: string): Promise<Stored | undefined> {
    const info = known.get(name) ?? (await bucketOf(name));
    if (info === undefined) return undefined;
    const replicated = info.config.num_replicas > 1; // only its leader is never behind
    const copy = await switches.read(name, key);
    if (copy !== undefined) return copy;
    return await readLast(`KV_${name}`, `$KV.${name}.${token(key)}`, replicated);
  }

  return {
    list: () => answered(listProjections(js, jsm)),
    keys: (name, { limit, after }) =>
      answered(async () => {
        if ((await bucketOf(name)) === undefined) return undefined;
        const all = (await keysNow(name)).sort();
        const from = after === undefined ? 0 : all.findIndex((key) => key > after);
        const keys = from < 0 ? [] : all.slice(from, from + limit);
        const more = from >= 0 && from + limit < all.length;
        return { keys, ...(more ? { next: keys.at(-1) as string } : {}) };
      }),
    get: (name, key) =>
      answered(async () => {
        const stored = await storedOf(name, key);
        if (stored === undefined || stored.data.byteLength === 0) return undefined;
        const { seq, time, data } = stored;
        return { key, value: parseEntry(name, key, data), revision: seq, time };
      }),
    version: (name, key) =>
      answered(async () => {
        const stored = await storedOf(name, key);
        return { seq: stored?.seq ?? 0, text: stored && textOf(stored.data) };
      }),
    reach: (name, wait) =>
      answered(async () => {
        if (!known.has(name) && (await bucketOf(name)) === undefined) return undefined;
        if (wait === undefined) return await reachOf(reading, name, names.home);
        return await untilReached(reading, name, wait);
      }),
    async watch(name, options) {
      const info = await answered(bucketOf(name));
      if (info === undefined) throw unknownProjection(name);
      return watchEntries(nc, js, name, info.state.last_seq, options);
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
  if (subjects <= countedMax) return (await keysBelow(js, name, `$KV.${name}.`)).there.length;
  const ledger = await streamInfo(jsm, config.name, { subjects_filter: "cursor.>" });
  return subjects - Object.keys(ledger?.state.subjects ?? {}).length;
}

/** The keys of entries, and of deleted ones, in no order. */
async function keysBelow(
  js: JetStreamClient,
  name: string,
  prefix: string,
): Promise<{ there: string[]; gone: string[] }> {
  const isThere = new Map<string, boolean>(); // one that changes meanwhile comes twice: its last word counts
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
        const key = untoken(message.subject.slice(prefix.length));
        if (key !== undefined) isThere.set(key, message.headers?.get("Nats-Msg-Size") !== "0");
      }
      if (received === 0) break; // what was pending has been replaced or removed
    }
  } finally {
    await discard(consumer);
  }
  const keys = [...isThere.keys()];
  return {
    there: keys.filter((key) => isThere.get(key)),
    gone: keys.filter((key) => !isThere.get(key)),
  };
}
