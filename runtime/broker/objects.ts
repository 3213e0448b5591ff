// Data that is too large for a message, as objects of a NATS object store (ADR-20) beside the home stream.
// Owns the bucket `<home>_data`, which is made with the first object.
// O1 An object is whole or not there: its entry is stored after its chunks. O2 Storing what is there changes nothing;
// what has been there for long is stored anew, so that no removal under way takes it. O3 A removal takes the object that
// was listed, and none that was stored under its name since.
import { type DataRef, describeThrown, EddyError } from "../events/index.ts";
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  Objm,
  RetentionPolicy,
  StorageType,
} from "./client.ts";
import {
  chunkSubject,
  entryIn,
  entryOf,
  type Found,
  isWhole,
  type Reading,
  readObject,
  streamOf,
} from "./object-read.ts";
import { readAll } from "./ordered.ts";
import { readMessage } from "./stored.ts";
import { ensureStream, streamInfo } from "./streams.ts";

export interface ObjectLimits {
  /** Of one object. */
  readonly bytesMax: number;
  /** Of the bucket. */
  readonly storeBytesMax: number;
}

/** An object as it is listed. */
export interface StoredObject {
  readonly name: string;
  /** Subject of the event whose data it is. */
  readonly natsSubject: string;
  readonly nuid: string;
  /** Where its entry stands in the bucket's stream. */
  readonly entry: { readonly natsSubject: string; readonly seq: number };
  readonly storedMs: number;
}

export interface Objects {
  readonly bucket: string;
  readonly bytesMax: number;
  /** Stores the data of an event that is about to be stored on a subject. Throws `EDDY_OBJECTS_FULL` or `EDDY_OBJECT_NOT_STORED`. */
  put(ref: DataRef, data: Uint8Array, natsSubject: string): Promise<void>;
  /** Throws `EDDY_READ_FAILED` where the server does not answer. */
  get(ref: DataRef): Promise<Found>;
  /** Those of the bucket that the runtime has stored, oldest first, and chunks without an entry. */
  list(): Promise<{ readonly objects: StoredObject[]; readonly strayNuids: string[] }>;
  remove(object: Pick<StoredObject, "nuid"> & Partial<Pick<StoredObject, "entry">>): Promise<void>;
  /** When the last chunk of an object was stored; undefined where none is left. */
  chunkStoredMs(nuid: string): Promise<number | undefined>;
}

interface Connected extends Reading {
  readonly js: JetStreamClient;
}

const freshMs = 15 * 60_000; // far below the age at which what nobody refers to is removed
const chunkBytesMax = 128 * 1024;
const headroomBytes = 4_096; // subject and headers of a chunk
const answerMs = 10_000;
const readMs = 60_000;
const subjectKey = "eddy.subject";

export function openObjects(
  connected: Connected,
  bucket: string,
  { bytesMax, storeBytesMax }: ObjectLimits,
): Objects {
  const { nc, jsm } = connected;
  const stream = streamOf(bucket);
  return {
    bucket,
    bytesMax,
    async put(ref, data, natsSubject) {
      try {
        await ensureStream(jsm, bucketStream(bucket, storeBytesMax));
        if (!(await isFresh(connected, ref))) await store(connected, ref, data, natsSubject);
      } catch (error) {
        throw notStored(error, stream, natsSubject);
      }
    },
    async get(ref) {
      try {
        return await within(readMs, readObject(connected, ref));
      } catch (error) {
        const text = `object ${ref.name} of bucket ${ref.bucket} could not be read: ${describeThrown(error).message}`;
        throw new EddyError("EDDY_READ_FAILED", text, {}, { cause: error });
      }
    },
    list: () => list(connected, bucket),
    async remove({ nuid, entry }) {
      // Up to that sequence: an object of the same name that was stored since has another entry and other chunks.
      if (entry !== undefined) {
        await jsm.streams.purge(stream, { filter: entry.natsSubject, seq: entry.seq + 1 });
      }
      await jsm.streams.purge(stream, { filter: chunkSubject(bucket, nuid) });
    },
    async chunkStoredMs(nuid) {
      const last = await readMessage(nc, stream, { last_by_subj: chunkSubject(bucket, nuid) });
      return last?.time.getTime();
    },
  };
}

async function isFresh(reading: Reading, { bucket, name, digest }: DataRef): Promise<boolean> {
  const known = await entryOf(reading, bucket, name);
  if (known?.entry.digest !== `SHA-256=${digest}=`) return false;
  if (Math.abs(Date.now() - known.storedMs) > freshMs) return false;
  return await isWhole(reading, bucket, known.entry);
}

async function store(
  { nc, js }: Connected,
  { bucket, name }: DataRef,
  data: Uint8Array,
  natsSubject: string,
): Promise<void> {
  const room = (nc.info?.max_payload ?? chunkBytesMax) - headroomBytes;
  const chunk = Math.max(1, Math.min(chunkBytesMax, room));
  const objects = await new Objm(js).open(bucket, false);
  const meta = {
    name,
    metadata: { [subjectKey]: natsSubject },
    options: { max_chunk_size: chunk },
  };
  await objects.put(meta, inPieces(data, chunk), { timeout: answerMs });
}

async function list({ jsm }: Reading, bucket: string): ReturnType<Objects["list"]> {
  const stream = streamOf(bucket);
  const chunks = chunkSubject(bucket, "");
  const info = await streamInfo(jsm, stream, { subjects_filter: `${chunks}*` });
  if (info === undefined) return { objects: [], strayNuids: [] };
  const subjects = Object.keys(info.state.subjects ?? {});
  const stray = new Set(subjects.map((subject) => subject.slice(chunks.length)));
  const objects: StoredObject[] = [];
  await readAll({ jsm }, stream, `$O.${bucket}.M.>`, ({ seq, subject, data, time }) => {
    const entry = entryIn(data);
    if (entry === undefined) return;
    const { name, nuid, metadata } = entry;
    stray.delete(nuid);
    const natsSubject = metadata?.[subjectKey] ?? "";
    if (!/^events\.[A-Za-z0-9_=.-]+$/.test(natsSubject)) return; // somebody else's
    const place = { natsSubject: subject, seq };
    objects.push({ name, natsSubject, nuid, entry: place, storedMs: time.getTime() });
  });
  return { objects, strayNuids: [...stray] };
}

function bucketStream(bucket: string, storeBytesMax: number) {
  return {
    name: streamOf(bucket),
    subjects: [`$O.${bucket}.C.>`, `$O.${bucket}.M.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.New,
    allow_direct: true,
    allow_rollup_hdrs: true,
    max_bytes: storeBytesMax,
  };
}

// Given as one piece, the client would copy what is left of it for each chunk.
function inPieces(data: Uint8Array, bytes: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= data.byteLength) return controller.close();
      controller.enqueue(data.subarray(at, at + bytes));
      at += bytes;
    },
  });
}

const noRoom = new Set([10002, 10023, 10028, 10047, 10077]); // the account's limits, resources, memory, storage, the stream's

function notStored(error: unknown, stream: string, natsSubject: string): EddyError {
  const why = describeThrown(error).message;
  const full = error instanceof JetStreamApiError && noRoom.has(error.code);
  const what = `data for ${natsSubject} is too large for a message, and was not stored in ${stream}: ${why}. The event was not stored either`;
  return full
    ? new EddyError(
        "EDDY_OBJECTS_FULL",
        `${what}. Raise objects.storeBytes, or see which handler is far behind (eddy handlers)`,
        {},
        { cause: error },
      )
    : new EddyError(
        "EDDY_OBJECT_NOT_STORED",
        `${what}. Is the server reachable?`,
        {},
        { cause: error },
      );
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1_000} s`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
