// Watching a projection: the entries as they are, or what has changed since a revision, and then each change.
// W1 Also over a reconnect or a restart of the server no change is left out: of changes that follow each other fast only
// the last one of an entry may be told. W2 Of a bucket that was made anew all entries are told: revisions of the one before
// mean nothing there. What it has no more is not told.
import type { JetStreamClient } from "@nats-io/jetstream";
import type { NatsConnection, StreamInfo } from "../broker/index.ts";
import { token, untoken } from "../events/index.ts";
import { parseEntry } from "./entry.ts";
import { type Followed, follow } from "./follow.ts";

export interface Change {
  readonly key: string;
  /** null: deleted. */
  readonly value: unknown;
  readonly revision: number;
  /** Which bucket the revision is of: one that was made anew has another name. */
  readonly bucket: string;
}

export interface WatchOptions {
  readonly key?: string;
  /** Only entries whose key begins so. */
  readonly prefix?: string;
  /** The last revision that is known, and where that is known of which bucket: nothing at or below it is told again. A
   * deletion since is told, too. */
  readonly since?: Pick<Change, "revision"> & Partial<Pick<Change, "bucket">>;
  readonly signal: AbortSignal;
}

/** `info` is that of the bucket's stream. */
export function watchEntries(
  nc: NatsConnection,
  js: JetStreamClient,
  name: string,
  { created, state }: StreamInfo,
  { key, prefix = "", since, signal }: WatchOptions,
): AsyncGenerator<Change> {
  const { revision: seq, bucket = bucketOf(created) } = since ?? {};
  const isKnown = seq !== undefined && seq <= state.last_seq && bucket === bucketOf(created);
  const filter = `$KV.${name}.${key === undefined ? ">" : token(key)}`;
  const place = isKnown ? { seq, created } : undefined;
  return changesIn(name, follow(nc, js, `KV_${name}`, filter, signal, place), prefix);
}

async function* changesIn(
  name: string,
  messages: AsyncIterable<Followed>,
  prefix: string,
): AsyncGenerator<Change> {
  for await (const { message, created, stood } of messages) {
    const deleted = message.data.byteLength === 0;
    if (deleted && stood) continue; // what was gone before the watch began is not told
    const key = untoken(message.subject.slice(`$KV.${name}.`.length));
    if (key === undefined || !key.startsWith(prefix)) continue;
    const value = deleted ? null : parseEntry(name, key, message.data);
    yield { key, value, revision: message.seq, bucket: bucketOf(created) };
  }
}

function bucketOf(created: string): string {
  return Date.parse(created).toString(36);
}
