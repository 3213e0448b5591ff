// `eddy replay`: a handler over the events of the past. Owns what each way of it stores.
// P1 Nothing is stored unless it was asked for; what the log holds of a handler's effects is never stored again, however
// often a replay is run or killed. P2 A failing event is counted and listed, and stops nothing. P3 Events that the handler
// has not come to, or that wait or are dead, are left to it: a replay in place adds no outcome.
import { type Handler, parseDuration } from "../../authoring/index.ts";
import { type Broker, streamInfo } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import type { OpenEntries } from "../entries.ts";
import type { FindEntries } from "../find.ts";
import { readRepeats } from "../log/repeats.ts";
import type { ReadEntry } from "../read-entry.ts";
import { sourceOf } from "../terms.ts";
import { readPast } from "./past.ts";
import { createReruns, type Failure, type Rerun, type Seen } from "./rerun.ts";
import { openShadow } from "./shadow.ts";
import { keepInShadow, type Left, lookOnly, mendInPlace, type Sink } from "./sinks.ts";
import type { Span } from "./span.ts";

export type ReplayWay =
  /** Runs, and stores nothing. */
  | { readonly kind: "look" }
  /** Stores a reaction's effects that are missing; `dry` only tells which. */
  | { readonly kind: "effects"; readonly dry: boolean }
  /** Under another name: with a ledger and, for a projection, a bucket of its own. */
  | { readonly kind: "into"; readonly name: string };

export interface ReplayParts {
  readonly broker: Broker;
  readonly handler: Handler;
  readonly span: Span;
  readonly way: ReplayWay;
  /** Only events of this ordering key; of a projection, of this entry. */
  readonly key?: string;
  /** Of handlers that declare none. */
  readonly deadlineMs: number;
  readonly readEntry: ReadEntry;
  readonly findEntries: FindEntries;
  readonly openEntries: OpenEntries;
  /** What came of an event, in stream order. */
  readonly onRerun?: (rerun: Rerun) => void;
  readonly onProgress?: (seq: number, span: Span) => void;
}

export interface Replayed {
  readonly handler: string;
  readonly version: string;
  /** The name that it ran under. */
  readonly as: string;
  readonly from: number;
  readonly to: number;
  /** Events of the handler in the span; of these the ones that were run. */
  read: number;
  run: number;
  duplicate: number;
  filtered: number;
  /** Not run, or their effects left as they are, by why. */
  readonly left: Record<Left, number>;
  /** How many failed, by code. */
  readonly failed: Record<string, number>;
  /** The first ones of them. */
  readonly failures: FailedEvent[];
  /** Effects of the events that were run; those that the log has already; those that were stored now. */
  emitted: number;
  there: number;
  stored: number;
}

export interface FailedEvent extends Failure {
  readonly seq: number;
  /** Absent where the message is no event. */
  readonly source?: string;
  readonly id?: string;
}

const failuresMax = 100;
const codesMax = 100;

/** @throws EddyError `EDDY_REPLAY_…`, `EDDY_READ_FAILED` */
export async function replay(parts: ReplayParts): Promise<Replayed> {
  const { broker, span, onRerun, onProgress } = parts;
  const info = await streamInfo(broker.jsm, broker.home);
  if (info === undefined)
    throw new EddyError("EDDY_STREAM_MISSING", `stream ${broker.home} is gone`);
  const handler = named(parts);
  const sink = await sinkOf(parts, handler, Date.parse(info.created));
  const told = nothingTold(parts, handler.name);
  const repeatOf = await readRepeats(broker, broker.home, span.to);
  const reruns = createReruns({
    handler,
    terms: {
      deadlineMs: parseDuration(handler.declaration.options.deadline) ?? parts.deadlineMs,
      source: sourceOf(broker.app, handler.name),
      replaying: true,
    },
    readEntry: parts.readEntry,
    findEntries: parts.findEntries,
    states: sink.states,
    maxPayloadBytes: broker.maxPayloadBytes,
    ...(parts.key === undefined ? {} : { key: parts.key }),
  });
  const left = { ...span, from: Math.max(span.from, sink.floor + 1) };
  for await (const { seen, upTo } of readPast(broker, [handler], left, repeatOf)) {
    const results = await reruns.run((seen[0] ?? []).filter((one) => isRun(one, sink, told)));
    for (const result of results) {
      tell(result, told);
      onRerun?.(result);
    }
    await sink.take(results, upTo);
    onProgress?.(upTo, left);
  }
  await sink.end(span.to);
  const { emitted, there, stored, expired } = sink.tally;
  told.left.expired = expired;
  return Object.assign(told, { emitted, there, stored });
}

/** The handler under the name that it runs under: its effects and records follow from it. */
function named({ handler, way }: ReplayParts): Handler {
  if (way.kind !== "into") return handler;
  const { declaration } = handler;
  const { name } = way;
  if (declaration.kind === "reaction") return { ...handler, name };
  return { ...handler, name, declaration: { ...declaration, name } };
}

async function sinkOf(parts: ReplayParts, handler: Handler, createdMs: number): Promise<Sink> {
  const { broker, span, way } = parts;
  if (way.kind === "look") return await lookOnly(broker, handler, span);
  if (way.kind === "effects") return await mendInPlace(broker, handler, span, createdMs, way.dry);
  const { openEntries, key } = parts;
  const mark = {
    handler: parts.handler.name,
    version: handler.version,
    from: span.from,
    key: key ?? null,
  };
  const { keeper, start, entries } = await openShadow({
    broker,
    handler,
    mark,
    createdMs,
    openEntries,
  });
  return keepInShadow(keeper, start, entries);
}

/** Whether an event has its turn; what has none is counted. */
function isRun({ sighting }: Seen, sink: Sink, told: Replayed): boolean {
  told.read++;
  if (sighting.kind !== "event") return true; // it has a verdict already
  const why = sink.leaves(sighting.position.seq);
  if (why !== undefined) told.left[why]++;
  return why === undefined;
}

function tell(rerun: Rerun, told: Replayed): void {
  switch (rerun.kind) {
    case "ran":
    case "folded":
      told.run++;
      return;
    case "duplicate":
    case "filtered":
      told[rerun.kind]++;
      return;
    case "otherKey":
      told.read--;
      return;
    case "failed":
      tellFailed(rerun, told);
  }
}

function tellFailed(rerun: Extract<Rerun, { kind: "failed" }>, told: Replayed): void {
  const { position, event, code, message } = rerun;
  if (event !== undefined) told.run++;
  const known = Object.hasOwn(told.failed, code) || Object.keys(told.failed).length < codesMax;
  const counted = known ? code : "other";
  told.failed[counted] = (told.failed[counted] ?? 0) + 1;
  if (told.failures.length >= failuresMax) return;
  const named = event === undefined ? {} : { source: event.source, id: event.id };
  told.failures.push({ seq: position.seq, ...named, code, message });
}

function nothingTold({ handler: { name, version }, span }: ReplayParts, as: string): Replayed {
  const left = { unsettled: 0, dead: 0, expired: 0 };
  const counts = { read: 0, run: 0, duplicate: 0, filtered: 0, emitted: 0, there: 0, stored: 0 };
  // A code is whatever a handler calls its errors.
  const failed: Record<string, number> = Object.create(null);
  return { handler: name, version, as, ...span, ...counts, left, failed, failures: [] };
}
