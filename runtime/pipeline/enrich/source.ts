// The source of one enrichment, as this node meets it: who may call it now. Owns the calls under way, their rate and the
// circuit. It lives as long as its handler runs here, over reloads and take-overs.
// S1 No more calls at once than `concurrency`, and no more than `rate.limit` begin within any `rate.perMs`.
// S2 Who waits gets a call in the order in which he came, or leaves when his time is over.
// S3 A circuit that opens or closes is said once.
import { type Enrichment, RetryAfter } from "../../authoring/index.ts";
import { describeThrown } from "../../events/index.ts";
import type { Report } from "../facts.ts";
import type { Surroundings } from "../handle.ts";
import type { Stopping } from "../stopping.ts";
import { begun, type Circuit, callableAt, closed, failed, unused } from "./circuit.ts";
import { createPace } from "./pace.ts";

export interface Source {
  /** Resolves to a call that may begin now; to undefined where none could until then, or the session ended. */
  enter(asking: Asking): Promise<Call | undefined>;
  /** When the circuit lets a call through again, by performance.now(); 0 where it is closed. */
  readonly opensAtMs: number;
  readonly isDown: boolean;
}

export interface Asking {
  readonly handler: string;
  readonly bounds: Enrichment;
  readonly untilMs: number;
  /** The end of the session. */
  readonly ending: Stopping;
  /** So many calls in a row without an answer open the circuit. */
  readonly failuresMax: number;
}

/** A call under way; the first of these ends it. */
export interface Call {
  /** The source has answered, whatever it said. */
  answered(): void;
  failed(error: unknown): void;
  /** Nothing was asked, or what came of it says nothing about the source. */
  unused(): void;
}

const code = "EDDY_ENRICH_SOURCE_DOWN";
const restMsMax = 3_600_000; // what a source may ask for with RetryAfter
const sources = new WeakMap<Surroundings, Source>();

/** The one of a handler: its surroundings are its own, and outlive its versions and sessions. */
export function sourceOf(around: Surroundings): Source {
  const source = sources.get(around) ?? createSource(around.report);
  sources.set(around, source);
  return source;
}

interface Waiter {
  readonly asking: Asking;
  readonly begin: (call: Call | undefined) => void;
}

function createSource(report: Report): Source {
  const waiting = new Set<Waiter>(); // in the order in which they came
  const pace = createPace();
  let calls = 0;
  let circuit: Circuit = closed;
  let timer: NodeJS.Timeout | undefined;

  function pump(): void {
    clearTimeout(timer);
    timer = undefined;
    for (const waiter of waiting) {
      const now = performance.now();
      const atMs = freeAt(waiter.asking.bounds);
      if (atMs > now) {
        if (Number.isFinite(atMs)) timer = setTimeout(pump, Math.ceil(atMs - now)).unref();
        return;
      }
      waiting.delete(waiter);
      waiter.begin(begin(waiter.asking, now));
    }
  }

  /** When the next call may begin; infinite where one has to end before. */
  function freeAt({ concurrency, rate }: Enrichment): number {
    if (calls >= concurrency) return Number.POSITIVE_INFINITY;
    return Math.max(pace.nextAt(rate), callableAt(circuit));
  }

  function begin({ handler, bounds, failuresMax }: Asking, now: number): Call {
    calls++;
    pace.begun(bounds.rate, now);
    const isProbe = circuit.kind !== "closed";
    circuit = begun(circuit);
    let over = false;
    const end = (change: () => void) => {
      if (over) return;
      over = true;
      calls--;
      change();
      pump();
    };
    return {
      answered: () => end(() => close(handler)),
      failed: (error) => end(() => fail(handler, error, isProbe, failuresMax)),
      unused: () =>
        end(() => {
          circuit = unused(circuit, isProbe, performance.now());
        }),
    };
  }

  function close(handler: string): void {
    const wasDown = circuit.kind !== "closed";
    circuit = closed;
    if (!wasDown) return;
    const message = `${handler}: the source answers again`;
    report({ kind: "mended", code, about: handler, message });
  }

  function fail(handler: string, error: unknown, isProbe: boolean, failuresMax: number): void {
    const wasClosed = circuit.kind === "closed";
    const now = performance.now();
    const restMs = error instanceof RetryAfter ? error.at.getTime() - Date.now() : 0;
    const untilMs = now + Math.min(restMs || 0, restMsMax);
    circuit = failed(circuit, isProbe, failuresMax, now, untilMs);
    if (!wasClosed || circuit.kind === "closed") return;
    const why = describeThrown(error).message.slice(0, 500);
    const message =
      `${handler}: the source did not answer ${failuresMax === 1 ? "a call" : `${failuresMax} calls in a row`}, the last ` +
      `one with: ${why}. Its events wait without losing an attempt, and one call tries it now and then`;
    report({ kind: "trouble", code, about: handler, message });
  }

  return {
    enter(asking) {
      return new Promise((resolve) => {
        const waiter: Waiter = {
          asking,
          begin(call) {
            clearTimeout(patience);
            asking.ending.cuts.delete(leave);
            resolve(call);
          },
        };
        const leave = () => {
          if (waiting.delete(waiter)) waiter.begin(undefined);
        };
        const patience = setTimeout(leave, Math.max(0, asking.untilMs - performance.now()));
        asking.ending.cuts.add(leave);
        waiting.add(waiter);
        pump();
      });
    },
    get opensAtMs() {
      return circuit.kind === "open" ? circuit.untilMs : 0;
    },
    get isDown() {
      return circuit.kind !== "closed";
    },
  };
}
