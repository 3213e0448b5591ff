// The task of those who drain a backlog, in whichever way: once to warm up, on a server of its own, and once measured.
// So a few seconds' code, still to be compiled, is not taken for what weeks of it cost; and nothing that is measured
// was touched before.
import { type Broker, connectBroker } from "../../runtime/broker/index.ts";
import { home } from "../backlog.ts";
import { beginSpan, type Span, work } from "./task.ts";

/** nothing: handle only; select: the same, with a `where` that all meet; trust: the same, with a schema that takes anything.
 * emit: each event emits one. fold: each event goes into the entry of its key. */
export type Does = "nothing" | "select" | "trust" | "emit" | "fold";

export interface DrainTask {
  readonly warmUp?: Backlogged;
  readonly measured: Backlogged;
  /** Makes apps, ledgers and consumers of this run its own. */
  readonly run: string;
  readonly does: Does;
  readonly handlers: number;
  /** Types of the backlog. Handlers are of one each; where there is one type, all are of it. */
  readonly types: number;
  /** Where a peer bounds what it has in flight. */
  readonly inFlight: number;
}

interface Backlogged {
  readonly url: string;
  /** Events to drain; who is slow may leave the rest of the backlog. */
  readonly events: number;
}

export interface DrainResult extends Span {
  /** Events handled; each handler's, where several handle one. */
  readonly handled: number;
}

/** Drains the first events of the backlog, and ends when the last of them is settled. */
export type Drain = (
  broker: Broker,
  events: number,
  task: DrainTask,
  /** Called once, when everything stands and nothing is asked for yet; what it returns, after the last. */
  begin: () => Promise<() => Promise<void>>,
) => Promise<number>;

export async function workOnDrain(drain: Drain): Promise<never> {
  return await work<DrainTask>(async (task) => {
    if (task.warmUp !== undefined) {
      await drainOne(drain, task.warmUp, task, async () => async () => {});
    }
    let span: Span = { ms: Number.NaN, cpuMs: Number.NaN };
    const handled = await drainOne(drain, task.measured, task, async () => {
      const end = await beginSpan();
      return async () => {
        span = await end();
      };
    });
    return { ...span, handled } satisfies DrainResult;
  });
}

async function drainOne(
  drain: Drain,
  { url, events }: Backlogged,
  task: DrainTask,
  begin: Parameters<Drain>[3],
): Promise<number> {
  const broker = await connectBroker(
    { servers: [url], name: task.run, timeoutMs: 5_000 },
    { app: task.run, home },
  );
  const handled = await drain(broker, events, task, begin);
  await broker.close();
  return handled;
}

/** Resolves with the last of so many. */
export function countdown(total: number): { tick(): void; readonly over: Promise<void> } {
  let left = total;
  let done = () => {};
  const over = new Promise<void>((resolve) => {
    done = resolve;
  });
  return {
    over,
    tick() {
      if (--left === 0) done();
    },
  };
}
