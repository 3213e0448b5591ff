// The lives of a thread: it is started, dies, is started anew, and is ended. Owns the worker, and what is said of it.
// A1 There is at most one worker. A2 After a death with somebody to blame the next one starts at once: each uses up an
// attempt, so they come to an end. One that dies by itself, or does not start, has to wait, longer each time.
import { describeThrown } from "../../events/index.ts";
import type { Report } from "../../pipeline/index.ts";
import { launch, type Running, type ThreadSpec } from "./launch.ts";
import { type Description, type FromThread, word } from "./protocol.ts";
import type { Stop, Stopped } from "./stopped.ts";

export interface Lives {
  readonly running: Running | undefined;
  readonly description: Description;
  /** Starts it where it does not run. */
  start(): void;
  /** Ends a worker that does not give way; a new one follows. */
  cut(stop: Stop): void;
  /** Ends it; `start` brings it back. */
  end(): Promise<void>;
  /** Ends it for ever. */
  close(): Promise<void>;
}

export interface Owner {
  hear(by: Running, items: readonly FromThread[], bytes: Uint8Array): void;
  /** It died: by what was begun last and what was running then, who is to blame, and what to say. */
  died(stop: Stop, begun: number, current: number): Stopped;
  onStarted(): void;
  /** It did not start. It is tried again while it is wanted. */
  onFailed(why: string): void;
  wanted(): boolean;
}

const firstPauseMs = 100;
const pauseMsMax = 5_000;
const shortLifeMs = 1_000;

/** @throws what `launch` throws for the first start. */
export async function startLives(spec: ThreadSpec, owner: Owner, report: Report): Promise<Lives> {
  const { name } = spec.compiled.module;
  const about = `the thread of ${name}`;
  let running: Running | undefined;
  let startedMs = 0;
  let pauseMs = 0;
  let cutFor: Stop | undefined; // why it is being ended from here
  let trouble: string | undefined; // its code, until it is mended
  let starting: Promise<void> | undefined;
  let closed = false;
  let wake = () => {};
  const { description } = await bringUp();

  async function bringUp(): Promise<Running> {
    const made = await launch(spec, (items, bytes) => owner.hear(made, items, bytes));
    running = made;
    startedMs = performance.now();
    cutFor = undefined;
    void made.ended.then((end) => died(made, cutFor ?? end));
    return made;
  }

  function died(who: Running, stop: Stop): void {
    if (who !== running) return; // it was meant to
    running = undefined;
    const [begun, current] = [word.begun, word.current].map((at) => Atomics.load(who.shared, at));
    const { code, message, error } = owner.died(stop, begun ?? 0, current ?? 0);
    say(code, message);
    if (error !== undefined) pauseMs = 0;
    else if (performance.now() - startedMs < shortLifeMs) lengthenPause();
    start();
  }

  function start(): void {
    if (running !== undefined) return;
    starting ??= untilItRuns().finally(() => {
      starting = undefined;
    });
  }

  async function untilItRuns(): Promise<void> {
    while (!closed && owner.wanted()) {
      await pause(pauseMs);
      if (closed || !owner.wanted()) return; // retired meanwhile
      try {
        await bringUp();
        mended();
        if (!owner.wanted()) return await end();
        return owner.onStarted();
      } catch (error) {
        lengthenPause();
        const why = describeThrown(error).message;
        say("EDDY_THREAD_NOT_STARTED", `${name} does not start again: ${why}. It is tried again`);
        owner.onFailed(why);
      }
    }
  }

  function lengthenPause(): void {
    pauseMs = Math.min(Math.max(pauseMs * 2, firstPauseMs), pauseMsMax);
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  function say(code: string, message: string): void {
    if (trouble !== code) mended();
    trouble = code;
    report({ kind: "trouble", code, about, message });
  }

  function mended(): void {
    if (trouble === undefined) return;
    report({ kind: "mended", code: trouble, about, message: `${name} has a new thread` });
    trouble = undefined;
  }

  async function end(): Promise<void> {
    const ending = running;
    running = undefined;
    await ending?.terminate();
  }

  return {
    get running() {
      return running;
    },
    description,
    start,
    cut(stop) {
      cutFor = stop;
      void running?.terminate();
    },
    end,
    async close() {
      closed = true;
      wake();
      await starting;
      await end();
    },
  };
}
