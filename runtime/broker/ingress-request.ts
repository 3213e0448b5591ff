// What one request wants stored: its events as messages, and the answers that have come. Pure but for its timer.
import { createHash } from "node:crypto";
import {
  type Claim,
  type CloudEvent,
  type EddyError,
  type EncodedMessage,
  encodeMessage,
  eventSubject,
  keyOf,
  type StoredEvent,
} from "../events/index.ts";
import { batchMessagesMax } from "./batch.ts";
import type { NatsConnection } from "./client.ts";
import { claimFor } from "./ingress-claim.ts";
import { tooLarge } from "./ingress-refusal.ts";
import type { Objects } from "./objects.ts";

/** Longest silence: with every answer that comes, the wait for the rest starts anew. */
export const answerMsMax = 5_000;

export interface Publish {
  readonly event: CloudEvent;
  /** Its data, where that goes elsewhere. */
  readonly claim?: Claim;
  readonly natsSubject: string;
  /** Header lines, each ended by CR LF. */
  readonly lines: string;
  readonly data: Uint8Array;
  readonly sizeBytes: number;
}

export interface Request {
  /** Answers by message id; complete when it has as many as `publishes`. */
  readonly answers: Map<string, Stored>;
  readonly publishes: ReadonlyMap<string, Publish>;
  /** JetStream domain whose answers count. */
  readonly domain: string | undefined;
  /** Others that have answered: the reason why nobody else seems to, sometimes. */
  readonly strangers: Set<string>;
  readonly timer: NodeJS.Timeout;
  /** Lets go of what waits for its answers. */
  onSettled(): void;
  settle(error?: EddyError): void;
}

type Stored = { readonly seq: number; readonly duplicate: boolean };

/** An answer of the server to a publish (ADR-22). */
export interface PubAck {
  readonly stream?: string;
  readonly domain?: string;
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly err_code: number; readonly description: string };
}

/** Another stream's answer does not count, but is remembered. */
export function isStranger(request: Request, stream: string, answer: PubAck): boolean {
  const { stream: from, domain } = answer;
  if (from === stream && domain === request.domain) return false;
  request.strangers.add(`${from}${domain ? ` (domain ${domain})` : ""}`);
  return true;
}

/** Those that fit into one batch, and have no identity in common. */
export function batchable(requests: readonly Request[]): Set<Request> {
  const known = new Set<string>();
  const together = new Set<Request>();
  let bytes = 0;
  for (const request of requests) {
    const ids = [...request.publishes.keys()];
    for (const { sizeBytes } of request.publishes.values()) bytes += sizeBytes;
    if (known.size + ids.length > batchMessagesMax || bytes > batchBytesMax) break;
    if (ids.some((id) => known.has(id))) continue;
    for (const id of ids) known.add(id);
    together.add(request);
  }
  return together;
}

const batchBytesMax = 8 * 2 ** 20;

// One publish for each identity: a cluster refuses the same message id twice at a time.
export function publishesOf(
  events: readonly CloudEvent[],
  nc: NatsConnection,
  objects: Objects | undefined,
): ReadonlyMap<string, Publish> {
  const maxBytes = nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
  const publishes = new Map<string, Publish>();
  for (const event of events) {
    const messageId = messageIdOf(event);
    if (publishes.has(messageId)) continue;
    const idLine = `Nats-Msg-Id: ${messageId}\r\n`;
    const whole = encodeMessage(event);
    const wholeBytes = sizeOf(whole, idLine);
    const claim = wholeBytes > maxBytes ? claimFor(event, whole, wholeBytes, objects) : undefined;
    const { headerLines, data } = claim?.message ?? whole;
    const sizeBytes = claim === undefined ? wholeBytes : sizeOf(claim.message, idLine);
    if (sizeBytes > maxBytes) throw tooLarge(event, sizeBytes, `the server takes ${maxBytes}`);
    const natsSubject = eventSubject(event.type, keyOf(event));
    const publish = { event, natsSubject, lines: `${headerLines}${idLine}`, data, sizeBytes };
    publishes.set(messageId, claim === undefined ? publish : { ...publish, claim });
  }
  return publishes;
}

function sizeOf({ headerLines, data }: EncodedMessage, more: string): number {
  return "NATS/1.0\r\n\r\n".length + headerLines.length + more.length + data.byteLength;
}

export function outcomes(
  events: readonly CloudEvent[],
  answers: Request["answers"],
  stream: string,
): StoredEvent[] {
  const seen = new Set<string>();
  return events.map((event) => {
    const messageId = messageIdOf(event);
    const { seq, duplicate } = answers.get(messageId) as Stored;
    const again = seen.has(messageId);
    seen.add(messageId);
    return { id: event.id, source: event.source, stream, seq, duplicate: duplicate || again };
  });
}

// Not the id alone, which only its source makes unique; and of one length, whatever comes from outside.
function messageIdOf({ source, id }: CloudEvent): string {
  return createHash("sha256")
    .update(JSON.stringify([source, id]))
    .digest("base64url");
}
