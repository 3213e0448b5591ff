// The end of data that is outside: an object goes when nothing refers to it any more, neither an event of the home
// stream nor what waits in RETRY, lies in DEAD or is kept in STATE. Run aside, now and then; any number of nodes may.
// W1 Only what is older than an age, and than all that the home stream has, is looked at: an event is stored soon after
// its object. W2 What refers is looked for where it is: it is moved from the home stream to RETRY and DEAD, so they are
// read in this order. W3 Between these two it moves both ways, so two rounds in a row must find nothing. W4 What was
// stored anew between looking and removing stays.
import {
  type Broker,
  deadStream,
  readRange,
  retryStream,
  type StoredObject,
  streamInfo,
} from "../../broker/index.ts";
import { namesIn, textMax } from "../../events/index.ts";

export interface Sweep {
  /** One round; gives how many objects were removed. */
  run(nowMs: number): Promise<number>;
}

const straysMax = 1_000; // in one round
/** How old an object has to be at least. */
const ageMs = 3_600_000;

export function createSweep(broker: Broker, leastAgeMs = ageMs): Sweep {
  const kept = new Map<string, number>(); // until the head of the home stream has passed it, by name
  let suspects = new Map<string, number>(); // entries that nothing referred to in the last round

  async function run(nowMs: number): Promise<number> {
    const { objects, strayNuids } = await broker.objects.list();
    const before = nowMs - leastAgeMs;
    await removeStrays(broker, strayNuids, before);
    const home = await streamInfo(broker.jsm, broker.home);
    if (home === undefined) return 0;
    const { messages, first_seq: firstSeq, first_ts: firstTs } = home.state;
    const oldest = messages === 0 ? before : Math.min(before, Date.parse(firstTs)); // W1
    const old = objects.filter(({ storedMs }) => storedMs < oldest); // few: each is larger than a message
    forget(kept, old);
    const free: StoredObject[] = [];
    for (const object of old) {
      if ((kept.get(object.name) ?? 0) >= firstSeq) continue;
      const seq = await referrerOf(broker, object, firstSeq, home.state.last_seq);
      if (seq === undefined) free.push(object);
      else kept.set(object.name, seq);
    }
    if (free.length === 0) {
      suspects = new Map();
      return 0;
    }
    const waiting = new Set([
      ...(await referredIn(broker, retryStream)),
      ...(await referredIn(broker, deadStream)),
      ...(await referredIn(broker, broker.state)),
    ]);
    const unwanted = free.filter(({ name }) => !waiting.has(name));
    const gone = unwanted.filter(({ name, entry }) => suspects.get(name) === entry.seq); // W3
    suspects = new Map(unwanted.map(({ name, entry }) => [name, entry.seq]));
    for (const object of gone) await broker.objects.remove(object);
    return gone.length;
  }

  return { run };
}

function forget(kept: Map<string, number>, present: readonly StoredObject[]): void {
  const names = new Set(present.map(({ name }) => name));
  for (const name of kept.keys()) if (!names.has(name)) kept.delete(name);
}

/** Where the last event stands that refers to an object: on its subject there are events of one key and type only. */
async function referrerOf(
  broker: Broker,
  { name, natsSubject: filter }: StoredObject,
  from: number,
  to: number,
): Promise<number | undefined> {
  const { jsm, home: stream } = broker;
  const info = await streamInfo(jsm, stream, { subjects_filter: filter });
  if ((info?.state.subjects?.[filter] ?? 0) === 0) return undefined;
  let last: number | undefined;
  for await (const chunk of readRange(broker, { stream, filter, from, to })) {
    for (const { raw, seq } of chunk) if (raw.includes(name)) last = seq;
  }
  return last;
}

/** What the messages of a stream refer to. A parcel may be stored in pieces, and a reference cut in two by them. */
async function referredIn(broker: Broker, stream: string): Promise<Set<string>> {
  const found = new Set<string>();
  const info = await streamInfo(broker.jsm, stream);
  if (info === undefined || info.state.messages === 0) return found;
  const { first_seq: from, last_seq: to } = info.state;
  let tail: { readonly of: string; readonly bytes: Buffer } | undefined;
  for await (const chunk of readRange(broker, { stream, filter: ">", from, to })) {
    for (const { natsSubject, raw, data } of chunk) {
      const of = /^(.*\.data\.)\d+$/.exec(natsSubject)?.[1];
      const before = of !== undefined && tail?.of === of ? tail.bytes : undefined;
      const bytes = before === undefined ? raw : Buffer.concat([before, data]);
      for (const name of namesIn(bytes)) found.add(name);
      tail = of === undefined ? tail : { of, bytes: data.subarray(-textMax) };
    }
  }
  return found;
}

/** Chunks without an entry: whoever stored them died before the end. */
async function removeStrays(
  broker: Broker,
  nuids: readonly string[],
  beforeMs: number,
): Promise<void> {
  for (const nuid of nuids.slice(0, straysMax)) {
    const storedMs = await broker.objects.chunkStoredMs(nuid);
    if (storedMs !== undefined && storedMs < beforeMs) await broker.objects.remove({ nuid });
  }
}
