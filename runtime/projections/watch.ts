// Watching a projection: the entries as they are, or what has changed since a revision, and then each change.
// W1 Also over a reconnect or a restart of the server no change is left out: of changes that follow each other fast only
// the last one of an entry may be told.
import type { JetStreamClient, JsMsg } from "@nats-io/jetstream";
import type { NatsConnection } from "../broker/index.ts";
import { token, untoken } from "../events/index.ts";
import { parseEntry } from "./entry.ts";
import { follow } from "./follow.ts";

export interface Change {
  readonly key: string;
  /** null: deleted. */
  readonly value: unknown;
  readonly revision: number;
}

export interface WatchOptions {
  readonly key?: string;
  /** Only entries whose key begins so. */
  readonly prefix?: string;
  /** The last revision that is known: nothing at or below it is told again. A deletion since is told, too. */
  readonly since?: number;
  readonly signal: AbortSignal;
}

/** `lastSeq` is that of the bucket's stream. */
export function watchEntries(
  nc: NatsConnection,
  js: JetStreamClient,
  name: string,
  lastSeq: number,
  { key, prefix = "", since, signal }: WatchOptions,
): AsyncGenerator<Change> {
  const known = since !== undefined && since <= lastSeq ? since : undefined; // else of a bucket that was made anew
  const filter = `$KV.${name}.${key === undefined ? ">" : token(key)}`;
  const messages = follow(nc, js, `KV_${name}`, filter, signal, known);
  return changesIn(name, messages, prefix, known ?? lastSeq); // what was gone before the watch began is not told
}

async function* changesIn(
  name: string,
  messages: AsyncIterable<JsMsg>,
  prefix: string,
  goneUntil: number,
): AsyncGenerator<Change> {
  for await (const message of messages) {
    const deleted = message.data.byteLength === 0;
    if (deleted && message.seq <= goneUntil) continue;
    const key = untoken(message.subject.slice(`$KV.${name}.`.length));
    if (key === undefined || !key.startsWith(prefix)) continue;
    const value = deleted ? null : parseEntry(name, key, message.data);
    yield { key, value, revision: message.seq };
  }
}
