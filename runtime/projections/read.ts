// Reading projections: lists, keys, entries, changes. Needs no pipeline and no node: only the server.
// R1 Only a bucket whose stream has the projection's cursor is a projection; what other name comes from outside
//    never reaches a subject.   R2 A message without bytes is a deleted entry, whatever marked it: JSON has bytes.
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { Found } from "../authoring/index.ts";
import {
  type NatsConnection,
  type RangeReader,
  type StreamInfo,
  streamInfo,
} from "../broker/index.ts";
import { positionText, token } from "../events/index.ts";
import {
  copyOf,
  type EntryQuery,
  type Reading,
  type ReadWait,
  readPositions,
} from "../pipeline/index.ts";
import { answered } from "./answered.ts";
import { declaredIndexes } from "./declared.ts";
import { createDirectories } from "./directories.ts";
import { createDirectory, type Listed, type Listing } from "./directory.ts";
import { type Entry, parseEntry, unknownProjection } from "./entry.ts";
import { createGathered, type Stored } from "./gathered.ts";
import { countLive } from "./heads.ts";
import { textOf, type Version } from "./local/copy.ts";
import { createLooks, type Reach, reachOf, untilReached } from "./reach.ts";
import { checkComplete, checkDeclared, marksWanted, type Selected, select } from "./select.ts";
import { createSwitches } from "./switched.ts";
import { readValues } from "./values.ts";
import { type Change, type WatchOptions, watchEntries } from "./watch.ts";

/** Reads entries as they are stored. */
export interface VersionReader {
  version(name: string, key: string): Promise<Version>;
}

export interface ListedProjection {
  readonly name: string;
  /** Exact up to `countedMax`; above, deleted ones count for a while. */
  readonly entries: number;
  /** How far it has come in each of its streams, such as `EVENTS:7`. */
  readonly positions: readonly string[];
}

export interface ProjectionReader {
  /** All projections by name. */
  list(): Promise<readonly ListedProjection[]>;
  /** The keys of the entries that fit, sorted; `next` is the `after` of the next page. Undefined: no such projection.
   * @throws EddyError `EDDY_INDEX_UNKNOWN`, `EDDY_INDEX_INCOMPLETE` */
  keys(
    name: string,
    query: EntryQuery,
  ): Promise<{ readonly keys: readonly string[]; readonly next?: string } | undefined>;
  /** The same with values. A page may be shorter than its limit where the values are large. */
  entries(
    name: string,
    query: EntryQuery,
  ): Promise<{ readonly entries: readonly Entry[]; readonly next?: string } | undefined>;
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
  const reader: RangeReader = { nc, jsm, maxPayloadBytes: nc.info?.max_payload ?? 1_048_576 };
  const ask = createDirectories(reader);
  const known = new Map<string, StreamInfo>();
  const readLast = createGathered(nc);
  const switches = createSwitches(nc);
  const looks = createLooks(reading);

  async function bucketOf(name: string): Promise<StreamInfo | undefined> {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) return undefined;
    const info = await streamInfo(jsm, `KV_${name}`);
    if (info === undefined || !isProjection(info, name)) return undefined;
    known.set(name, info);
    return info;
  }

  async function storedOf(name: string, key: string): Promise<Stored | undefined> {
    const info = known.get(name) ?? (await bucketOf(name));
    if (info === undefined) return undefined;
    const replicated = info.config.num_replicas > 1; // only its leader is never behind
    const copy = await switches.read(name, key);
    if (copy !== undefined) return copy;
    return await readLast(`KV_${name}`, `$KV.${name}.${token(key)}`, replicated);
  }

  async function selected(
    name: string,
    query: EntryQuery,
    bounded: boolean,
  ): Promise<Selected | undefined> {
    const bucket = await bucketOf(name);
    if (bucket === undefined) return undefined;
    checkDeclared(name, declaredIndexes(bucket), query);
    const question = (listing: Listing) => {
      checkComplete(name, listing, query);
      return select(listing, query, bounded);
    };
    const id = await switches.now(name);
    if (id === undefined) return await ask(name, bucket, question);
    const copies = copyOf(name, id, ">").slice(0, -1);
    return await createDirectory(reader, name, copies).ask(bucket, question);
  }

  async function valuesOf(
    name: string,
    listed: readonly Listed[],
    wanted: readonly string[],
  ): Promise<readonly Entry[]> {
    if ((await switches.now(name)) === undefined)
      return await readValues(reader, name, listed, wanted);
    const entries = await Promise.all(listed.map(({ key }) => entryOf(name, key)));
    return entries.filter((entry) => entry !== undefined);
  }

  async function entryOf(name: string, key: string): Promise<Entry | undefined> {
    const stored = await storedOf(name, key);
    if (stored === undefined || stored.data.byteLength === 0) return undefined;
    const { seq, time, data } = stored;
    return { key, value: parseEntry(name, key, data), revision: seq, time };
  }

  return {
    list: () => answered(listProjections(reader)),
    keys: (name, query) =>
      answered(async () => {
        const page = await selected(name, query, false);
        return page && { keys: page.listed.map(({ key }) => key), ...nextOf(page) };
      }),
    entries: (name, query) =>
      answered(async () => {
        const page = await selected(name, query, true);
        if (page === undefined) return undefined;
        const entries = await valuesOf(name, page.listed, marksWanted(query));
        return { entries, ...nextOf(page) };
      }),
    get: (name, key) => answered(entryOf(name, key)),
    version: (name, key) =>
      answered(async () => {
        const stored = await storedOf(name, key);
        return { seq: stored?.seq ?? 0, text: stored && textOf(stored.data) };
      }),
    reach: (name, wait) =>
      answered(async () => {
        if (!known.has(name) && (await bucketOf(name)) === undefined) return undefined;
        if (wait === undefined) return await reachOf(looks, name, names.home);
        return await untilReached(reading, looks, name, wait);
      }),
    async watch(name, options) {
      const info = await answered(bucketOf(name));
      if (info === undefined) throw unknownProjection(name);
      return watchEntries(nc, js, name, info, options);
    },
  };
}

/** What `ctx.find` gives. @throws EddyError `EDDY_PROJECTION_UNKNOWN` and what `entries` throws. */
export async function findEntries(
  reader: ProjectionReader,
  name: string,
  query: EntryQuery,
): Promise<Found<unknown>> {
  const page = await reader.entries(name, query);
  if (page === undefined) throw unknownProjection(name);
  return { entries: page.entries.map(({ key, value }) => ({ key, value })), ...nextOf(page) };
}

function isProjection({ config }: StreamInfo, name: string): boolean {
  return config.name === `KV_${name}` && config.subjects.includes(`cursor.${name}`);
}

function nextOf({ next }: { readonly next?: string }): { readonly next?: string } {
  return next === undefined ? {} : { next };
}

async function listProjections(reader: RangeReader) {
  const found: ListedProjection[] = [];
  for await (const info of reader.jsm.streams.list("cursor.*")) {
    const name = info.config.name.slice("KV_".length);
    if (!isProjection(info, name)) continue;
    const positions = (await readPositions(reader, name)).map(positionText);
    found.push({ name, entries: await countEntries(reader, name, info), positions });
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function countEntries(
  reader: RangeReader,
  name: string,
  { state, config }: StreamInfo,
): Promise<number> {
  const subjects = state.num_subjects ?? state.messages;
  if (subjects <= countedMax) return await countLive(reader, name);
  const ledger = await streamInfo(reader.jsm, config.name, { subjects_filter: "cursor.>" });
  return subjects - Object.keys(ledger?.state.subjects ?? {}).length;
}
