// `eddy replay`: a handler over the events of the past. Owns what each way of it stores.
// P1 Nothing is stored unless it was asked for; what the log holds of a handler's effects is never stored again, however
// often a replay is run or killed. P2 A failing event is counted and listed, and stops nothing. P3 Events that the handler
// has not come to, or that wait or are dead, are left to it: a replay in place adds no outcome.
import { type Handler, parseDuration } from "../../authoring/index.ts";
import { type Broker, streamInfo } from "../../broker/index.ts";
import { EddyError, keyOf, type Position } from "../../events/index.ts";
import type { OpenEntries } from "../entries.ts";
import type { FindEntries } from "../find.ts";
import { type LogRange, type LogReading, readLog, type Seen } from "../log/read-log.ts";
import { readRepeatsIn } from "../log/repeats-in.ts";
import type { Sighting } from "../log/sight.ts";
import type { ReadEntry } from "../read-entry.ts";
import { sourceOf } from "../terms.ts";
import { createReruns, type Failure, type Rerun } from "./rerun.ts";
import { openShadow, type ShadowInput } from "./shadow.ts";
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
  /** What came of an event, in the order of the log. */
  readonly onRerun?: (rerun: Rerun) => void;
  /** Up to where it has come, and what it reads. */
  readonly onProgress?: (upTo: readonly Position[], ranges: readonly LogRange[]) => void;
}

export interface Replayed {
  readonly handler: string;
  readonly version: string;
  /** The name that it ran under. */
  readonly as: string;
  readonly span: Span;
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
  readonly position: Position;
  /** Absent where the message is no event. */
  readonly source?: string;
  readonly id?: string;
}

const failuresMax = 100;
const codesMax = 100;

/** @throws EddyError `EDDY_REPLAY_…`, `EDDY_READ_FAILED` */
export async function replay(parts: ReplayParts): Promise<Replayed> {
  const { broker, span, onRerun, onProgress } = parts;
  const inputs = await Promise.all(span.map((range) => inputOf(broker, range)));
  const handler = named(parts);
  const sink = await sinkOf(parts, handler, inputs);
  const told = nothingTold(parts, handler.name);
  const reruns = rerunsOf(parts, handler, sink);
  const reading: LogReading = {
    ...{ broker, versions: [handler], sliceMax },
    repeatsIn: await readRepeatsIn(broker, span),
    wantsData: ({ position, event }) =>
      sink.leaves(position) === undefined && mayHaveKey(handler, parts.key, event),
  };
  const left = span.map((range) => {
    return { ...range, from: Math.max(range.from, (sink.floors.get(range.stream) ?? 0) + 1) };
  });
  for await (const { seen, upTo } of readLog(reading, left)) {
    const results = await reruns.run((seen[0] ?? []).filter((one) => isRun(one, sink, told)));
    for (const result of results) {
      tell(result, told);
      onRerun?.(result);
    }
    await sink.take(results, upTo);
    onProgress?.(upTo, left);
  }
  await sink.end(span.map(({ stream, to: seq }) => ({ stream, seq })));
  const { emitted, there, stored, expired } = sink.tally;
  told.left.expired = expired;
  return Object.assign(told, { emitted, there, stored });
}

const sliceMax = 800; // what a projection makes of it fits into one batch

async function inputOf({ jsm }: Broker, range: LogRange): Promise<ShadowInput> {
  const info = await streamInfo(jsm, range.stream);
  if (info !== undefined) return { range, createdMs: Date.parse(info.created) };
  throw new EddyError("EDDY_STREAM_MISSING", `stream ${range.stream} is gone`);
}

function rerunsOf(parts: ReplayParts, handler: Handler, sink: Sink) {
  const { broker, readEntry, findEntries, key } = parts;
  const terms = {
    deadlineMs: parseDuration(handler.declaration.options.deadline) ?? parts.deadlineMs,
    source: sourceOf(broker.app, handler.name),
    replaying: true,
  } as const;
  const { states, storeOutside } = sink;
  return createReruns({
    ...{ broker, handler, terms, readEntry, findEntries, states, storeOutside },
    ...(key === undefined ? {} : { key }),
  });
}

/** The handler under the name that it runs under: its effects and records follow from it. */
function named({ handler, way }: ReplayParts): Handler {
  if (way.kind !== "into") return handler;
  const { declaration } = handler;
  const { name } = way;
  if (declaration.kind === "reaction") return { ...handler, name };
  return { ...handler, name, declaration: { ...declaration, name } };
}

async function sinkOf(
  parts: ReplayParts,
  handler: Handler,
  inputs: readonly ShadowInput[],
): Promise<Sink> {
  const { broker, span, way, openEntries, key = null } = parts;
  if (way.kind === "look") return await lookOnly(broker, handler, span);
  const [home] = inputs;
  if (way.kind === "effects")
    return await mendInPlace(broker, handler, span, home?.createdMs ?? 0, way.dry);
  const of = { handler: parts.handler.name, version: handler.version, key };
  return keepInShadow(broker, await openShadow({ broker, handler, of, inputs, openEntries }));
}

/** Whether an event may be of the key that is wanted, as far as that is known without its data. */
export function mayHaveKey(
  { declaration }: Handler,
  key: string | undefined,
  event: Sighting["event"],
): boolean {
  if (key === undefined || event === undefined || declaration.kind === "projection") return true;
  return keyOf(event) === key;
}

/** Whether an event has its turn; what has none is counted. */
function isRun({ sighting }: Seen, sink: Sink, told: Replayed): boolean {
  told.read++;
  if (sighting.kind !== "event") return true; // it has a verdict already
  const why = sink.leaves(sighting.position);
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
  told.failures.push({ position, ...named, code, message });
}

function nothingTold({ handler: { name, version }, span }: ReplayParts, as: string): Replayed {
  const left = { unsettled: 0, dead: 0, expired: 0 };
  const counts = { read: 0, run: 0, duplicate: 0, filtered: 0, emitted: 0, there: 0, stored: 0 };
  // A code is whatever a handler calls its errors.
  const failed: Record<string, number> = Object.create(null);
  return { handler: name, version, as, span, ...counts, left, failed, failures: [] };
}
