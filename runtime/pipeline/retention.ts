// The age of the home stream, enforced by the runtime: its head is cut in small steps.
// A1 Only what is older than `retention` AND completed by every handler is cut. A2 A handler that has been gone for
// longer than `retention` no longer holds back, and this is said. A3 A purge up to a sequence leaves no holes.
import { type Broker, firstSeqSince, readMessage, streamInfo } from "../broker/index.ts";
import { natsSubject, token, untoken } from "../events/index.ts";
import type { Report } from "./facts.ts";
import { readAllHeld } from "./held/records.ts";
import { decodeRecord, type LedgerRecord } from "./ledger/record.ts";
import { isOverReplay } from "./replay/keeper.ts";
import type { Runner } from "./runner.ts";

export interface RetentionLimits {
  readonly retentionMs: number;
}

const stepSequences = 10_000;
const pauseMs = 50;
const keepHeldAt = 0.75; // of the retention: instances do not cut in the same moment

/** One round: cuts what may go. Gives back how many sequences were cut. */
export async function cutHead(
  broker: Broker,
  runners: readonly Runner[],
  limits: RetentionLimits,
  report: Report,
  nowMs: number,
): Promise<number> {
  const oldest = nowMs - limits.retentionMs;
  const info = await streamInfo(broker.jsm, broker.home);
  if (info === undefined || info.state.messages === 0) return 0;
  const early = nowMs - limits.retentionMs * keepHeldAt;
  if (Date.parse(info.state.first_ts) >= early) return 0;
  const held = await heldSeqs(broker, runners, new Date(early));
  if (Date.parse(info.state.first_ts) >= oldest) return 0;
  const young = await firstSeqSince(broker, broker.home, new Date(oldest));
  const own = await ownFloors(runners, young - 1);
  const holding = [...own.values(), ...(await otherFloors(broker, own, oldest, report))];
  const keep = Math.min(young, ...held, ...holding.map((floor) => floor + 1));
  for (let at = info.state.first_seq; at < keep; ) {
    at = Math.min(at + stepSequences, keep);
    await broker.jsm.streams.purge(broker.home, { seq: at });
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  return Math.max(0, keep - info.state.first_seq);
}

/** Where the head may go for held keys: their records are stored again before another instance may cut them. */
async function heldSeqs(
  broker: Broker,
  runners: readonly Runner[],
  early: Date,
): Promise<readonly number[]> {
  if (!runners.some((runner) => runner.holdsKeys)) return [];
  const above = await firstSeqSince(broker, broker.home, early);
  return await Promise.all(runners.map((runner) => runner.keepHeld(above)));
}

/** Floors of the handlers that run here, by their ledger's subject: they hold back however long they are silent. */
async function ownFloors(runners: readonly Runner[], wanted: number): Promise<Map<string, number>> {
  const running = runners.filter((runner) => runner.state === "running");
  const floors = running.map(async (runner): Promise<[string, number]> => {
    // An idle handler has read its events up to here, but its ledger does not know: nothing made it write.
    const floor = runner.floor < wanted ? await runner.raiseFloor(wanted) : runner.floor;
    return [runner.place.ledger, floor];
  });
  return new Map(await Promise.all(floors));
}

/** Floors of handlers that do not run here, and of what their held keys need: of every app and instance that uses this home stream. */
async function otherFloors(
  broker: Broker,
  own: ReadonlyMap<string, number>,
  oldest: number,
  report: Report,
): Promise<number[]> {
  const found: number[] = [];
  for (const { stream, natsSubject: subject } of await ledgers(broker)) {
    if (own.has(subject)) continue;
    const last = await readMessage(broker.nc, stream, { last_by_subj: subject });
    if (last === undefined) continue;
    const record = decodeRecord(last.data);
    const floor = floorIn(record, broker.home);
    if (floor === undefined || isOverReplay(record)) continue;
    if (last.time.getTime() < oldest) {
      sayGone(broker, subject, report);
      continue;
    }
    found.push(floor);
    // Its held keys are stored again by whoever runs it: nobody, now.
    if (stream === broker.home) {
      const held = await readAllHeld(broker, { stream, ledger: subject }, last.seq);
      found.push(...[...held.values()].map(({ fromSeq }) => fromSeq - 1));
    }
  }
  return found;
}

async function ledgers(broker: Broker): Promise<{ stream: string; natsSubject: string }[]> {
  const places: { stream: string; natsSubject: string }[] = [];
  const home = await streamInfo(broker.jsm, broker.home, { subjects_filter: "ledger.*.*" });
  for (const natsSubject of Object.keys(home?.state.subjects ?? {})) {
    places.push({ stream: broker.home, natsSubject });
  }
  const state = await streamInfo(broker.jsm, broker.state, { subjects_filter: "compacted.*" });
  for (const natsSubject of Object.keys(state?.state.subjects ?? {})) {
    places.push({ stream: broker.state, natsSubject });
  }
  for await (const stream of broker.jsm.streams.names("cursor.>")) {
    places.push({ stream, natsSubject: natsSubject("cursor", token(stream.replace(/^KV_/, ""))) });
  }
  return places;
}

function floorIn(record: LedgerRecord, stream: string): number | undefined {
  return record.inputs.find((input) => input.stream === stream)?.floor;
}

const said = new Set<string>();

function sayGone(broker: Broker, subject: string, report: Report): void {
  if (said.has(subject)) return;
  said.add(subject);
  const handler = untoken(subject.slice(subject.lastIndexOf(".") + 1)) ?? subject;
  report({
    kind: "trouble",
    code: "EDDY_HANDLER_GONE",
    about: handler,
    message: `${handler} has not run for longer than home.retention: ${broker.home} is cut without waiting for it. If it comes back, it goes on at the head`,
  });
}
