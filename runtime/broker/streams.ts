// The runtime's own streams: what each must be, made where missing, mended where a needed setting is off.
// What an operator may choose (replicas, placement, descriptions) is left as it is.
import { EddyError } from "../events/index.ts";
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  nanos,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from "./client.ts";

type Wanted = Partial<StreamConfig> & { readonly name: string; readonly subjects: string[] };

export const retryStream = "RETRY";
export const deadStream = "DEAD";
export const identitiesStream = "IDENTITIES";

const streamNotFound = 10059;
const common = { storage: StorageType.File, retention: RetentionPolicy.Limits, allow_direct: true };

/** The home stream: events and ledgers, bounded by bytes, refusing when full, without an age of its own. */
export function homeStreamConfig(name: string, maxBytes: number): Wanted {
  return {
    ...common,
    name,
    subjects: ["events.>", "ledger.>"],
    discard: DiscardPolicy.New,
    max_bytes: maxBytes,
    max_age: 0,
    allow_atomic: true,
    duplicate_window: nanos(120_000),
  };
}

/** Schedules that wait, what has come due, and what lies behind a held key. Without limits: any limit would drop waiting events silently. */
export const retryStreamConfig: Wanted = {
  ...common,
  name: retryStream,
  subjects: ["retry.>", "due.>", "parked.>"],
  discard: DiscardPolicy.Old,
  allow_msg_schedules: true,
};

/** Dead letters: one message a subject, kept until an operator decides. */
export const deadStreamConfig: Wanted = {
  ...common,
  name: deadStream,
  subjects: ["dead.>"],
  discard: DiscardPolicy.Old,
  max_msgs_per_subject: 1,
};

/** Blocks of the identity index: derived, may be lost. */
export const identitiesStreamConfig: Wanted = {
  ...common,
  name: identitiesStream,
  subjects: ["identities.>"],
  discard: DiscardPolicy.Old,
  max_bytes: 256 * 1024 * 1024,
};

/** A projection's bucket: a KV bucket whose stream also holds the projection's cursor. */
export function bucketConfig(projection: string): Wanted {
  return {
    ...common,
    name: `KV_${projection}`,
    subjects: [`$KV.${projection}.>`, `cursor.${projection}`, `cursor.${projection}.>`],
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    allow_atomic: true,
    allow_msg_ttl: true,
    allow_rollup_hdrs: true,
    deny_delete: true,
    duplicate_window: nanos(120_000),
  };
}

/** The compacted home: the last event of each entity, and the cursors of those who keep it. Nothing goes by itself: the
 * server does not record what a limit has removed, so a crash would bring back what stood before the last message. */
export function stateStreamConfig(name: string): Wanted {
  return {
    ...common,
    name,
    subjects: ["state.>", "compacted.>"],
    discard: DiscardPolicy.New,
    max_msgs_per_subject: 1,
    allow_atomic: true,
    deny_delete: true,
    duplicate_window: nanos(120_000),
  };
}

/** Makes the stream, or mends one that lacks a setting that the runtime relies on. */
export async function ensureStream(jsm: JetStreamManager, wanted: Wanted): Promise<StreamInfo> {
  const present = await streamInfo(jsm, wanted.name);
  if (present === undefined) return await jsm.streams.add(wanted);
  const changes = differences(present.config, wanted);
  if (Object.keys(changes).length === 0) return present;
  try {
    return await jsm.streams.update(wanted.name, changes);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new EddyError(
      "EDDY_STREAM_UNFIT",
      `stream ${wanted.name} is there, but differs in ${Object.keys(changes).join(", ")} and cannot be changed: ` +
        `${why}. Change it by hand or give the runtime another name`,
      { stream: wanted.name },
      { cause: error },
    );
  }
}

/** The stream's state, or undefined where there is no such stream. */
export async function streamInfo(
  jsm: JetStreamManager,
  name: string,
  options?: { subjects_filter: string },
): Promise<StreamInfo | undefined> {
  try {
    return await jsm.streams.info(name, options);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === streamNotFound) return undefined;
    throw error;
  }
}

function differences(present: StreamConfig, wanted: Wanted): Partial<StreamConfig> {
  const changes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(wanted)) {
    if (fixedAtCreation.has(name)) continue;
    const now: unknown = Reflect.get(present, name);
    const wants = name === "subjects" ? union(present.subjects, wanted.subjects) : value;
    if (JSON.stringify(now ?? absent(wants)) !== JSON.stringify(wants)) changes[name] = wants;
  }
  return changes;
}

const fixedAtCreation = new Set(["name", "storage", "retention"]);

function absent(value: unknown): unknown {
  return typeof value === "boolean" ? false : typeof value === "number" ? 0 : undefined;
}

function union(present: readonly string[], wanted: readonly string[]): string[] {
  return [...present, ...wanted.filter((subject) => !present.includes(subject))];
}
