// The entries of a projection while one instance folds into them: last states in memory, writes as messages.
// Owns the memory of states. Does not own the batch: the committer stores what is folded.
// W1 `read` gives what was folded last, stored or not: folds of a key follow each other without waiting for the disk.
import { Permanent, type Projection } from "../authoring/index.ts";
import {
  type BatchMessage,
  type Broker,
  bucketConfig,
  readMessage,
  readRange,
} from "../broker/index.ts";
import { token } from "../events/index.ts";
import { type Entries, marksLines, type Report } from "../pipeline/index.ts";
import { ensureBucket } from "./bucket.ts";
import { declareIndexes } from "./declared.ts";

/** States kept in memory for each projection: more than may be in flight (8,192 deliveries and 1,000 retries), so
 * that no entry is forgotten before it is stored. */
const rememberedMax = 20_000;
const headroomBytes = 512;
// A removed entry is a DEL marker that stays. Whatever removes the last message of a subject (a TTL, a rollup, a purge), the
// value before it comes back after a crash of the server: 2.15.1, in each of 18 tries.
const tombstoneLines = "KV-Operation: DEL\r\n";

/** Makes sure of the projection's bucket (bucket.ts) and opens its entries for folding. */
export async function openEntries(
  broker: Broker,
  projection: Projection,
  report: Report,
): Promise<Entries> {
  const { name } = projection;
  const config = bucketConfig(name);
  await declareIndexes(broker.jsm, await ensureBucket(broker, name, report), projection.indexes);
  let sinceSeq = 0; // what was stored up to here counts as not there
  const remembered = new Map<string, { readonly state: unknown }>(); // in order of use: the first is the oldest

  function remember(key: string, state: unknown): void {
    remembered.delete(key);
    remembered.set(key, { state });
    if (remembered.size <= rememberedMax) return;
    const [oldest] = remembered.keys();
    if (oldest !== undefined) remembered.delete(oldest);
  }

  return {
    known: (key) => remembered.get(key),
    async read(key) {
      const known = remembered.get(key);
      if (known !== undefined) return known.state;
      const stored = await readMessage(broker.nc, config.name, {
        last_by_subj: entrySubject(name, key),
      });
      const state =
        stored === undefined || stored.seq <= sinceSeq || isTombstone(stored)
          ? undefined
          : parse(name, stored.data);
      remember(key, state);
      return state;
    },
    fold(key, next, marks): BatchMessage {
      const natsSubject = entrySubject(name, key);
      if (next === null) {
        remember(key, undefined);
        return tombstone(natsSubject);
      }
      const data = serialize(name, key, next);
      const headerLines = marksLines(marks);
      if (data.byteLength + headerLines.length + headroomBytes > broker.maxPayloadBytes) {
        throw new Permanent(
          `projection ${name}: the state of ${JSON.stringify(key.slice(0, 100))} has ${data.byteLength} bytes; the server takes ${broker.maxPayloadBytes}. The entry is unchanged`,
        );
      }
      remember(key, next);
      return { natsSubject, headerLines, data, entry: true };
    },
    forget: () => remembered.clear(),
    beginAnew(seq) {
      remembered.clear();
      sinceSeq = seq;
    },
    async *leftovers() {
      const filter = `$KV.${name}.>`;
      for await (const chunk of readRange(broker, {
        stream: config.name,
        filter,
        from: 1,
        to: sinceSeq,
      })) {
        const left = chunk.filter(({ natsSubject: at, data }) => {
          return at.startsWith("$KV.") && data.byteLength > 0;
        });
        yield left.map(({ natsSubject: at }) => tombstone(at));
      }
    },
  };
}

function tombstone(natsSubject: string): BatchMessage {
  return { natsSubject, headerLines: tombstoneLines, data: new Uint8Array(0), entry: true };
}

function entrySubject(projection: string, key: string): string {
  return `$KV.${projection}.${token(key)}`;
}

function isTombstone(stored: { headers?: Uint8Array; data: Uint8Array }): boolean {
  return stored.headers !== undefined && stored.data.byteLength === 0;
}

function parse(projection: string, data: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(data));
  } catch (cause) {
    throw new Permanent(
      `projection ${projection}: the entry that is stored is no JSON; somebody else wrote into its bucket`,
      { cause },
    );
  }
}

function serialize(projection: string, key: string, state: unknown): Uint8Array {
  try {
    const text = JSON.stringify(state);
    if (text !== undefined) return new TextEncoder().encode(text);
  } catch {
    // said below: a cycle or a BigInt
  }
  throw new Permanent(
    `projection ${projection}: the state of ${JSON.stringify(key.slice(0, 100))} is no JSON value. The entry is unchanged`,
  );
}
