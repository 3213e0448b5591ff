// The calls of a thread and their results, over whichever worker runs now. Owns who waits, and the watchdog.
// E1 All calls of a turn travel together. E2 While a call is in the thread, it is watched.
import { EddyError } from "../../events/index.ts";
import type { RemoteCall, Report } from "../../pipeline/index.ts";
import { createFlight, type Flight } from "./flight.ts";
import type { Running } from "./launch.ts";
import { joined } from "./outbox.ts";
import { type Pending, resolveWith, wireCall } from "./pending.ts";
import { type FromThread, word } from "./protocol.ts";
import { type Stop, type Stopped, stopped } from "./stopped.ts";
import { fromWire, toWire } from "./thrown.ts";
import { createWatchdog, type Watchdog } from "./watchdog.ts";

export interface Exchange {
  add(pending: Pending): void;
  /** Sends what waits. */
  pump(): void;
  hear(by: Running, items: readonly FromThread[], bytes: Uint8Array): void;
  /** The worker died: the call that is to blame fails, the others are sent again to the next one. */
  died(stop: Stop, begun: number, current: number): Stopped;
  /** All that waits fails. */
  giveUp(why: string): void;
  /** Calls without a result. */
  readonly open: number;
}

/** What the exchange sees of the lives of its thread. */
interface Worker {
  readonly running: Running | undefined;
  cut(stop: Stop): void;
}

export function createExchange(
  module: string,
  worker: () => Worker,
  report: Report,
  /** No call is without a result any more. */
  onIdle: () => void,
): Exchange {
  const flight = createFlight<Pending>();
  const watchdog = watch(flight, worker);
  let reads: Reads | undefined;
  let pumping = false;

  function pumpSoon(): void {
    if (!pumping) setImmediate(pump);
    pumping = true;
  }

  function pump(): void {
    pumping = false;
    const { running } = worker();
    const batch = running === undefined ? [] : flight.next();
    if (batch.length === 0) return;
    const pieces: Uint8Array[] = [];
    const calls = batch.map(({ number, call }) => wireCall(number, call, pieces));
    const bytes = joined(pieces);
    running?.post({ kind: "calls", calls, bytes }, bytes.buffer);
    watchdog.start();
  }

  return {
    add(pending) {
      reads = pending.call;
      flight.add(pending);
      pumpSoon();
    },
    pump,
    hear(by, items, bytes) {
      let from = 0;
      for (const item of items) {
        if (item.kind === "effects" || item.kind === "text" || item.kind === "threw") {
          from = resolveWith(flight.settle(item.call), item, bytes, from);
        } else if (item.kind === "get" || item.kind === "find") void answer(by, item, reads);
        else if (item.kind === "log") report(JSON.parse(item.fact));
        else if (item.kind === "stray") report(strayFact(module, fromWire(item.error)));
      }
      if (flight.suspects > 0) pumpSoon(); // the next one may be tried
      if (flight.size === 0) onIdle();
    },
    died(stop, begun, current) {
      watchdog.stop();
      const guilty = flight.died(begun, current);
      const said = stopped(module, stop, guilty, flight.size);
      guilty?.reject(said.error);
      if (flight.size === 0) onIdle();
      return said;
    },
    giveUp(why) {
      const text = `the thread of ${module} did not start again: ${why}`;
      const error = new EddyError("EDDY_THREAD_NOT_STARTED", text, { module });
      for (const call of flight.clear()) call.reject(error);
      onIdle();
    },
    get open() {
      return flight.size;
    },
  };
}

function watch(flight: Flight<Pending>, worker: () => Worker): Watchdog {
  const at = (place: number): number => {
    const { running } = worker();
    return running === undefined ? 0 : Atomics.load(running.shared, place);
  };
  const watchdog = createWatchdog({
    sign: () => at(word.begun) ^ Math.imul(at(word.beat), 0x9e3779b1),
    ping() {
      if (flight.sent === 0) watchdog.stop();
      else worker().running?.post({ kind: "ping", beat: (at(word.beat) + 1) | 0 });
    },
    allowedMs() {
      const current = flight.at(at(word.current));
      const busy = current === undefined ? flight.inFlight() : [current];
      return Math.max(0, ...busy.map(({ call }) => call.terms.deadlineMs));
    },
    onStill: (stillMs) => worker().cut({ kind: "blocked", stillMs }),
  });
  return watchdog;
}

type Reads = Pick<RemoteCall, "readEntry" | "findEntries">;

async function answer(
  by: Running,
  question: Extract<FromThread, { kind: "get" | "find" }>,
  reads: Reads | undefined,
): Promise<void> {
  try {
    const value =
      question.kind === "get"
        ? await reads?.readEntry(question.what)
        : await reads?.findEntries(question.projection, question.query);
    by.post({ kind: "entry", asked: question.asked, json: JSON.stringify(value ?? {}) });
  } catch (error) {
    by.post({ kind: "noEntry", asked: question.asked, error: toWire(error) });
  }
}

function strayFact(module: string, error: Error) {
  const message = `a handler left something behind that failed after its result: ${error.name}: ${error.message}. Await everything before a handler returns`;
  const about = `the thread of ${module}`;
  return { kind: "trouble", code: "EDDY_HANDLER_STRAY", about, message } as const;
}
