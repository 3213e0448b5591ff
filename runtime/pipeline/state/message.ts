// An event in the compacted home: its message as it stands in the log, and where that is. Pure.
// M1 Headers and data are the event's, byte for byte; only headers of the server and the runtime differ.
// M2 What is deleted is a tombstone that says until when it is shown. It stays where it is: with a TTL of the server's, a
// rollup or a removal by hand, the state before it came back after a crash of the server (2.15.1: in each of 18 tries).
import type { BatchMessage } from "../../broker/index.ts";
import { type Position, parsePosition, positionText } from "../../events/index.ts";
import type { Original } from "../retry/parcel.ts";

/** Where an event stands in the log. */
export interface Origin {
  readonly position: Position;
  /** When its stream was made: one that was made anew starts its sequences anew. */
  readonly createdMs: number;
  readonly storedMs: number;
  readonly tombstone?: Tombstone;
}

/** The event says that its entity is gone; until when that is shown. */
export interface Tombstone {
  readonly untilMs: number;
}

const names = {
  position: "Eddy-Position",
  created: "Eddy-Stream-Created",
  stored: "Eddy-Stored",
  until: "Eddy-Deleted-Until",
};
const foreign = /^(?:nats|eddy|kv)-/i; // of the server, of the runtime, of key-value buckets
const blockHead = /^NATS\/1\.0[^\r\n]*\r\n/;

export function compactedMessage(
  natsSubject: string,
  original: Original,
  createdMs: number,
  tombstone: Tombstone | undefined,
): BatchMessage {
  const own = [
    `${names.position}: ${positionText(original.position)}`,
    `${names.created}: ${createdMs}`,
    `${names.stored}: ${new Date(original.timeMs).toISOString()}`,
  ];
  const end =
    tombstone === undefined
      ? []
      : ["KV-Operation: DEL", `${names.until}: ${new Date(tombstone.untilMs).toISOString()}`];
  const lines = [...own, ...end, ...ownLinesOf(original.headers)];
  return {
    natsSubject,
    headerLines: lines.map((line) => `${line}\r\n`).join(""),
    data: original.data,
    entry: true,
  };
}

/** Where the event of a compacted message stands in the log; undefined where the runtime did not write it. */
export function originOf(headers: Uint8Array | undefined): Origin | undefined {
  const fields = new Map<string, string>();
  for (const line of linesOf(headers)) {
    const colon = line.indexOf(":");
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const position = parsePosition(fields.get(names.position) ?? "");
  const createdMs = Number(fields.get(names.created));
  const storedMs = Date.parse(fields.get(names.stored) ?? "");
  if (position === undefined || !Number.isFinite(createdMs + storedMs)) return undefined;
  const untilMs = Date.parse(fields.get(names.until) ?? "");
  const tombstone = Number.isNaN(untilMs) ? {} : { tombstone: { untilMs } };
  return { position, createdMs, storedMs, ...tombstone };
}

/** The header block of the event as it stands in the log; undefined where it had none. */
export function headersOf(compacted: Uint8Array): Uint8Array | undefined {
  const lines = ownLinesOf(compacted);
  if (lines.length === 0) return undefined;
  return Buffer.from(`NATS/1.0\r\n${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

function ownLinesOf(headers: Uint8Array | undefined): string[] {
  return linesOf(headers).filter((line) => !foreign.test(line));
}

function linesOf(headers: Uint8Array | undefined): string[] {
  if (headers === undefined) return [];
  const block = Buffer.from(headers).toString("latin1").replace(blockHead, "");
  return block.split("\r\n").filter((line) => line !== "");
}

/** Whether one event of a log, or of the log that was there before, is older than another. */
export function isOlder(one: Origin, other: Origin): boolean {
  if (one.createdMs !== other.createdMs) return one.createdMs < other.createdMs;
  return one.position.seq < other.position.seq;
}
