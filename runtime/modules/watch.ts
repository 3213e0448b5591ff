// Keeps what runs in step with the handlers folder. Owns the loop: wait for the bell, look, swap, report.
// W1 One look at a time; the swap is awaited before the next one.
// W2 What is reported as loaded has been handed over.
import { resolve } from "node:path";
import type { Handler } from "../authoring/index.ts";
import { describeThrown } from "../events/index.ts";
import { createBell } from "./bell.ts";
import { type Hints, openHints } from "./hints.ts";
import {
  blank,
  handlersIn,
  inputsOf,
  loadedIn,
  type ModuleReport,
  type Picture,
  rescan,
} from "./rescan.ts";
import type { Threads } from "./threads.ts";
import type { Verify } from "./verify.ts";

export interface WatchOptions {
  readonly folder: string;
  /** How often to look without a hint from the file system, in ms. Default 2,000. */
  readonly pollMs?: number;
  /** Where isolated modules run. Whoever made them ends them, once no handler runs any more. */
  readonly threads?: Threads;
  /** Whether a changed version may take over. */
  readonly verify?: Verify;
  /** Takes the whole new set: what is not in it any more ends. */
  onHandlers(handlers: readonly Handler[]): void | Promise<void>;
  onReport(report: ModuleReport): void;
}

export interface ModuleWatch {
  handlers(): readonly Handler[];
  close(): Promise<void>;
}

// An editor's save is several calls within a few ms; a copied folder takes longer, but is not waited for.
const quietMs = 20;
const burstMsMax = 200;

/**
 * Loads a handlers folder and follows its changes. Resolves once the first set is handed over (it may be empty).
 * @throws what `onHandlers` throws for the first set.
 */
export async function watchModules(options: WatchOptions): Promise<ModuleWatch> {
  const { onHandlers, onReport, threads, verify, pollMs = 2_000 } = options;
  const folder = resolve(options.folder);
  const bell = createBell({ quietMs, burstMsMax, pollMs });
  let picture = blank;
  let handedOver: readonly Handler[] | undefined;
  let hints: Hints | undefined;
  let closed = false;
  const afterSwap: ModuleReport[] = [];

  /** Watches anew where another folder is mounted at the path. */
  const follow = async (before: Picture): Promise<void> => {
    if (before.identity !== picture.identity) {
      await hints?.close();
      hints = undefined;
    }
    if (picture.identity === "") return;
    hints ??= openHints(folder, bell.ring, (error) => onReport(unwatched(folder, error)));
    hints.follow(inputsOf(picture));
  };

  const look = async (noticed: number): Promise<void> => {
    const before = picture;
    const result = await rescan(folder, before, noticed, threads, verify);
    if (closed) return;
    picture = result.picture;
    await follow(before);
    for (const report of result.reports) {
      if (report.kind === "failed" || report.kind === "folder") onReport(report);
      else afterSwap.push(report);
    }
    const handlers = handlersIn(picture);
    if (handedOver === undefined || !sameSet(handedOver, handlers)) {
      if (handedOver === undefined) unusedSettings(threads, picture).forEach(onReport);
      await onHandlers(handlers);
      handedOver = handlers;
    }
    threads?.keep(loadedIn(picture));
    afterSwap.splice(0).forEach(onReport);
  };

  const run = async (): Promise<void> => {
    for (;;) {
      const noticed = await bell.next();
      if (closed) return;
      await look(noticed).catch((error) => onReport(notSwapped(folder, error)));
    }
  };

  try {
    await look(performance.now());
  } catch (error) {
    await hints?.close();
    throw error;
  }
  const running = run();
  return {
    handlers: () => handlersIn(picture),
    async close() {
      closed = true;
      bell.stop();
      await running;
      await hints?.close();
    },
  };
}

function sameSet(a: readonly Handler[], b: readonly Handler[]): boolean {
  return a.length === b.length && a.every((handler, n) => handler === b[n]);
}

function unusedSettings(threads: Threads | undefined, { modules }: Picture): ModuleReport[] {
  return (threads?.named ?? [])
    .filter((name) => !modules.has(name))
    .map((module) => {
      const known = [...modules.keys()].join(", ") || "none";
      const message = `folders.${module} is for no module of the handlers folder (there are: ${known}). It counts once there is one`;
      return { kind: "setting", module, message };
    });
}

function unwatched(folder: string, error: unknown): ModuleReport {
  const why = describeThrown(error).message;
  const message = `changes in ${folder} are not announced by the file system (${why}): looking now and then instead`;
  return { kind: "folder", state: "found", message };
}

/** The set was not taken: it is handed over again at the next look. */
function notSwapped(folder: string, error: unknown): ModuleReport {
  const message = `the new set of handlers was not taken, it is handed over again: ${describeThrown(error).message}`;
  return {
    kind: "failed",
    failure: { module: "*", code: "EDDY_HANDLERS_NOT_SWAPPED", message, file: folder },
  };
}
