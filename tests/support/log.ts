// The home stream as a test reads it: message by message, without the runtime's own readers and decoders, so that
// what the runtime counts is compared with what is there.
import assert from "node:assert/strict";
import { type JsMsg, jetstream, jetstreamManager } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";

export interface LogEntry {
  readonly seq: number;
  readonly natsSubject: string;
  /** CloudEvents attributes by name, extensions too. Empty where the message is no event. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly bytes: Uint8Array;
  /** Of JSON; undefined for everything else. */
  readonly data: unknown;
}

/** All messages on `events.>`, in stream order. */
export async function readLog(nc: NatsConnection, stream = "EVENTS"): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  const consumer = await jetstream(nc).consumers.get(stream, { filter_subjects: "events.>" });
  if ((await consumer.info()).num_pending === 0) return entries;
  const messages = await consumer.consume({ max_messages: 5_000 });
  for await (const message of messages) {
    entries.push(entryOf(message));
    if (message.info.pending === 0) break;
  }
  return entries;
}

/** How many messages a subject filter holds. */
export async function countMessages(
  nc: NatsConnection,
  filter: string,
  stream = "EVENTS",
): Promise<number> {
  const manager = await jetstreamManager(nc);
  const { state } = await manager.streams.info(stream, { subjects_filter: filter });
  return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
}

export function ofType(log: readonly LogEntry[], type: string): LogEntry[] {
  return log.filter((entry) => entry.attributes.type === type);
}

/** Each cause has exactly one effect, and each effect a cause. Causes are told apart by `id`, so ids must be unique. */
export function assertOneEffectEach(
  causes: readonly LogEntry[],
  effects: readonly LogEntry[],
): void {
  const found = new Map<string, number>();
  for (const { attributes } of effects) {
    const cause = attributes.causationid ?? "";
    found.set(cause, (found.get(cause) ?? 0) + 1);
  }
  const ids = new Set(causes.map(({ attributes }) => attributes.id ?? ""));
  const lost = [...ids].filter((id) => !found.has(id));
  const doubled = [...found].filter(([, count]) => count > 1).map(([id]) => id);
  const strange = [...found.keys()].filter((id) => !ids.has(id));
  assert.deepEqual({ lost, doubled, strange }, { lost: [], doubled: [], strange: [] });
}

/** The entries' numbers (`data.n`) by CloudEvents subject, in stream order. */
function numbersBySubject(entries: readonly LogEntry[]): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const entry of entries) {
    const subject = entry.attributes.subject ?? "";
    const numbers = found.get(subject) ?? [];
    numbers.push(Reflect.get(Object(entry.data), "n"));
    found.set(subject, numbers);
  }
  return found;
}

/** Effects of one subject stand in the order of their causes, which carry rising numbers. */
export function assertOrderPerSubject(effects: readonly LogEntry[]): void {
  for (const [subject, numbers] of numbersBySubject(effects)) {
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
      `order of ${subject}`,
    );
  }
}

function entryOf(message: JsMsg): LogEntry {
  const place = { seq: message.seq, natsSubject: message.subject, bytes: message.data };
  const attributes: Record<string, string> = {};
  for (const name of message.headers?.keys() ?? []) {
    if (name.startsWith("ce-")) attributes[name.slice(3)] = plain(message.headers?.get(name) ?? "");
  }
  const whole = jsonOf(message.data);
  if (attributes.id !== undefined || typeof whole !== "object" || whole === null) {
    return { ...place, attributes, data: whole };
  }
  const { data, ...envelope } = whole as Record<string, unknown>;
  for (const [name, value] of Object.entries(envelope)) attributes[name] = String(value);
  return { ...place, attributes, data };
}

function plain(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
}
