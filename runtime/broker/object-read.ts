// Objects as ADR-20 lays them out in the bucket's stream, and reading one. An entry may have been written by anybody who
// may write into the bucket: nothing of it reaches a subject unchecked.
import { type DataRef, digestOf } from "../events/index.ts";
import type { JetStreamManager, NatsConnection } from "./client.ts";
import { readAll } from "./ordered.ts";
import { readMessage } from "./stored.ts";
import { streamInfo } from "./streams.ts";

/** What became of a read. The server's silence is thrown instead. */
export type Found =
  | { readonly kind: "data"; readonly data: Uint8Array }
  | { readonly kind: "missing" }
  | { readonly kind: "other"; readonly why: string };

/** What stands for an object, and names its chunks. */
export interface Entry {
  readonly name: string;
  readonly nuid: string;
  readonly size: number;
  readonly chunks: number;
  readonly digest?: string;
  readonly deleted?: boolean;
  readonly options?: { readonly link?: unknown };
  readonly metadata?: Readonly<Record<string, string>>;
}

export interface Reading {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
}

export function streamOf(bucket: string): string {
  return `OBJ_${bucket}`;
}

export function chunkSubject(bucket: string, nuid: string): string {
  return `$O.${bucket}.C.${nuid}`;
}

// Names of ours have 87 characters: their base64 needs no padding.
function entrySubject(bucket: string, name: string): string {
  return `$O.${bucket}.M.${Buffer.from(name).toString("base64url")}`;
}

export function entryIn(bytes: Uint8Array): Entry | undefined {
  try {
    const entry = JSON.parse(Buffer.from(bytes).toString()) as Entry;
    return /^[A-Za-z0-9_-]{1,64}$/.test(entry.nuid) ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** An object that is not deleted, and when its entry was stored. */
export async function entryOf(reading: Reading, bucket: string, name: string) {
  const which = { last_by_subj: entrySubject(bucket, name) };
  const found = await readMessage(reading.nc, streamOf(bucket), which);
  const entry = found && entryIn(found.data);
  if (found === undefined || entry === undefined) return undefined;
  if (entry.deleted === true || entry.options?.link) return undefined;
  return { entry, storedMs: found.time.getTime() };
}

/** Whether all of its chunks are there. */
export async function isWhole(
  { jsm }: Reading,
  bucket: string,
  { nuid, chunks }: Entry,
): Promise<boolean> {
  const subject = chunkSubject(bucket, nuid);
  const info = await streamInfo(jsm, streamOf(bucket), { subjects_filter: subject });
  return info?.state.subjects?.[subject] === chunks;
}

/** Not the client's get: it waits for ever for a chunk that is gone, and follows links into other buckets. */
export async function readObject(
  reading: Reading,
  { bucket, name, bytes, digest }: DataRef,
): Promise<Found> {
  const known = await entryOf(reading, bucket, name);
  if (known === undefined) return { kind: "missing" };
  const { entry } = known;
  if (entry.size !== bytes) return other(`it has ${entry.size} bytes, and not ${bytes}`);
  if (!(await isWhole(reading, bucket, entry))) return { kind: "missing" };
  const data = Buffer.alloc(bytes);
  let at = 0;
  await readAll(reading, streamOf(bucket), chunkSubject(bucket, entry.nuid), (chunk) => {
    if (at + chunk.data.byteLength <= bytes) data.set(chunk.data, at); // no more than was promised
    at += chunk.data.byteLength;
  });
  if (at < bytes) return { kind: "missing" }; // removed meanwhile
  if (at > bytes || digestOf(data) !== digest) return other("its digest is another one");
  return { kind: "data", data };
}

function other(why: string): Found {
  return { kind: "other", why };
}
