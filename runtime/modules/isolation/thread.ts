// The thread of one version of an isolated module, seen from the main thread.
// T1 A call has one result, also where the thread died meanwhile (flight.ts says who is to blame); only after `close`
// it has none. T2 A retired thread finishes what it has and ends; who comes late still finds it.
import type { Declaration } from "../../authoring/index.ts";
import type { Remote, Report } from "../../pipeline/index.ts";
import { undescribe } from "./describe.ts";
import { createExchange } from "./exchange.ts";
import type { ThreadSpec } from "./launch.ts";
import { startLives } from "./lives.ts";
import { remoteFor } from "./pending.ts";

export interface Thread {
  readonly declarations: readonly Declaration[];
  readonly exports: Readonly<Record<string, unknown>>;
  /** The functions of a declaration, by its place. */
  remote(declaration: number, handler: string): Remote;
  /** Another version has taken over. */
  retire(): void;
  /** Ends it; calls in flight have no result any more. */
  close(): Promise<void>;
}

const idleMs = 1_000;
const lastWordsMs = 50;

/**
 * Starts it. It stands in `living` while it has a worker, or will have one again.
 * @throws what the module threw while it loaded; EddyError where its thread did not live that long.
 */
export async function startThread(
  spec: ThreadSpec,
  report: Report,
  living: Set<Thread>,
): Promise<Thread> {
  let retired = false;
  let idle: NodeJS.Timeout | undefined;
  const exchange = createExchange(spec.compiled.module.name, () => lives, report, endSoon);
  const owner = {
    ...exchange,
    onStarted: exchange.pump,
    wanted: () => !retired || exchange.open > 0,
    onFailed(why: string) {
      // Another version is there: it takes over, as retries, what this one does not start for.
      if (retired) exchange.giveUp(why);
    },
  };
  const lives = await startLives(spec, owner, report);

  function endSoon(): void {
    if (!retired || exchange.open > 0) return;
    clearTimeout(idle);
    idle = setTimeout(() => {
      living.delete(thread);
      void lives.end();
    }, idleMs);
  }

  const { declarations, exports } = undescribe(lives.description);
  const thread: Thread = {
    declarations,
    exports,
    remote: (declaration, handler) =>
      remoteFor(declaration, handler, (pending) => {
        exchange.add(pending);
        if (!retired) return;
        clearTimeout(idle);
        living.add(thread);
        lives.start();
      }),
    retire() {
      retired = true;
      endSoon();
    },
    async close() {
      clearTimeout(idle);
      if (exchange.open > 0) {
        lives.running?.post({ kind: "stop" }); // signals are aborted
        await new Promise((resolve) => setTimeout(resolve, lastWordsMs));
      }
      await lives.close();
      living.delete(thread);
    },
  };
  living.add(thread);
  return thread;
}
