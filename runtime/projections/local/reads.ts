// Reads of entries for handlers: from what this process keeps, where the projection is declared so, else from the server.
// Owns the local copies of the process: one for each projection, begun when it is declared or first read.
// L1 What this process has stored or read is never read older afterwards. L2 A copy that is not ready, or does not know the
// key, asks the server.
import { jetstream } from "@nats-io/jetstream";
import type { Local, Projection } from "../../authoring/index.ts";
import type { BatchMessage } from "../../broker/index.ts";
import { untoken } from "../../events/index.ts";
import type { Asked, Found, ReadEntry, Reading, Report } from "../../pipeline/index.ts";
import { parseEntry } from "../entry.ts";
import type { ProjectionReader, VersionReader } from "../read.ts";
import { textOf, type Version } from "./copy.ts";
import { type Feed, type Filled, startFeed } from "./feed.ts";

export interface EntryReads {
  readonly read: ReadEntry;
  /** Learns what this process has stored in a stream, from a sequence on. */
  stored(stream: string, firstSeq: number, batch: readonly BatchMessage[]): void;
  /** Keeps what these projections declare, and lets go of all else. */
  keep(projections: readonly Pick<Projection, "name" | "local">[]): void;
  status(): readonly LocalStatus[];
  close(): Promise<void>;
}

export interface LocalStatus {
  readonly projection: string;
  readonly ready: boolean;
  readonly entries: number;
  readonly sizeBytes: number;
  /** Since when the bucket has not been heard of. */
  readonly ageMs: number;
}

interface Kept {
  readonly local: Local;
  readonly feed: Feed;
  readonly stop: AbortController;
}

/** Bound of one copy, estimated: a bounded one keeps fewer entries, one of all is given up. */
const bytesMax = 256 * 2 ** 20;

export function createEntryReads(
  reading: Reading,
  reader: Pick<ProjectionReader, "reach"> & VersionReader,
  report: Report,
): EntryReads {
  const kept = new Map<string, Kept>();
  const js = jetstream(reading.nc);

  function begin(name: string, local: Local): Kept {
    const known = kept.get(name);
    if (known !== undefined) return known; // as it is declared here, whatever another module was compiled with
    const stop = new AbortController();
    const feed = startFeed({ ...reading, js }, { name, local, bytesMax }, stop.signal);
    void feed.ended.then((why) => {
      if (why === "outgrown") report(outgrown(name));
    });
    const begun = { local, feed, stop };
    kept.set(name, begun);
    return begun;
  }

  async function slowly(asked: Asked, filled: Filled | undefined): Promise<Found> {
    const { projection, key, wait, told } = asked;
    const reach =
      wait === undefined && told !== true ? undefined : await reader.reach(projection, wait);
    const answer = filled?.copy.ask(key);
    let value: unknown;
    try {
      const version = await reader.version(projection, key);
      value = answer === undefined ? parsed(projection, key, version) : answer(version).value;
    } catch (error) {
      answer?.(undefined);
      throw error;
    }
    return { value, position: reach?.at, ageMs: reach?.staleMs };
  }

  return {
    read(asked) {
      const { local } = asked;
      if (local === undefined) return slowly(asked, undefined);
      const filled = begin(asked.projection, local).feed.now;
      if (asked.wait !== undefined || !filled?.ready) return slowly(asked, filled);
      try {
        const known = filled.copy.look(asked.key);
        if (known === undefined) return slowly(asked, filled);
        if (asked.told !== true) return Promise.resolve(known);
        const ageMs = performance.now() - filled.heardMs;
        return Promise.resolve({ value: known.value, position: filled.cursor.position, ageMs });
      } catch (error) {
        return Promise.reject(error);
      }
    },
    stored(stream, firstSeq, batch) {
      if (!stream.startsWith("KV_")) return;
      const name = stream.slice("KV_".length);
      const copy = kept.get(name)?.feed.now?.copy;
      if (copy === undefined) return;
      const prefix = `$KV.${name}.`;
      for (const [at, { natsSubject, data }] of batch.entries()) {
        if (!natsSubject.startsWith(prefix)) continue;
        const key = untoken(natsSubject.slice(prefix.length));
        if (key !== undefined) copy.learn(key, { seq: firstSeq + at, text: textOf(data) });
      }
    },
    keep(projections) {
      const wanted = new Map(projections.map(({ name, local }) => [name, local]));
      for (const [name, { stop, local }] of kept) {
        if (wanted.get(name) === local) continue;
        stop.abort();
        kept.delete(name);
      }
      for (const [name, local] of wanted) if (local !== undefined) begin(name, local);
    },
    status: () =>
      Array.from(kept, ([projection, { feed }]) => ({
        projection,
        ready: feed.now?.ready === true,
        entries: feed.now?.copy.entries ?? 0,
        sizeBytes: feed.now?.copy.sizeBytes ?? 0,
        ageMs: feed.now === undefined ? 0 : performance.now() - feed.now.heardMs,
      })),
    async close() {
      for (const { stop } of kept.values()) stop.abort();
      await Promise.all(Array.from(kept.values(), ({ feed }) => feed.ended));
      kept.clear();
    },
  };
}

function parsed(projection: string, key: string, { text }: Version): unknown {
  return text === undefined ? undefined : parseEntry(projection, key, text);
}

function outgrown(name: string) {
  const message =
    `the local copy of projection ${name} takes more than ${bytesMax / 2 ** 20} MiB and is given up: its reads go to the server. ` +
    "Declare a number of entries instead: local: 10_000";
  return {
    kind: "trouble",
    code: "EDDY_LOCAL_OUTGROWN",
    about: `projection ${name}`,
    message,
  } as const;
}
