// Which modules are isolated, and the threads of their versions. Owns the threads from their start to their end.
// I1 A version's thread lives as long as the version is live or waits for its name; then it finishes and ends.
import type { Handler } from "../authoring/index.ts";
import type { RemoteHandler, Report } from "../pipeline/index.ts";
import type { Compiled } from "./compile.ts";
import { handlersOf } from "./handlers.ts";
import { startThread, type Thread } from "./isolation/thread.ts";
import { workerCode } from "./worker-code.ts";

/** How a module (a file or folder of the handlers folder) runs. Default: in the main thread. */
export interface FolderSettings {
  readonly isolation: "inline" | "thread";
  /** Of the thread's JavaScript heap. */
  readonly memoryBytes: number;
}

export interface Threads {
  /** Modules that have settings. */
  readonly named: readonly string[];
  isolates(module: string): boolean;
  /** The handlers of a version, in a new thread. Throws what the module throws while it loads. */
  load(compiled: Compiled): Promise<readonly Handler[]>;
  /** Ends the threads of all handlers but these, once they are done. */
  keep(loaded: ReadonlySet<readonly Handler[]>): void;
  /** Ends all at once: calls in flight have no result any more. */
  close(): Promise<void>;
}

export function createThreads(
  folders: Readonly<Record<string, FolderSettings>>,
  report: Report,
): Threads {
  const threads = new Map<readonly Handler[], Thread>();
  const living = new Set<Thread>();

  function handlersIn(compiled: Compiled, thread: Thread): readonly Handler[] {
    return handlersOf(compiled, thread.exports).map((handler): RemoteHandler => {
      const place = thread.declarations.indexOf(handler.declaration);
      return { ...handler, remote: thread.remote(place, handler.name) };
    });
  }

  return {
    named: Object.keys(folders),
    isolates: (module) => settingsOf(folders, module)?.isolation === "thread",
    async load(compiled) {
      const { memoryBytes = 0 } = settingsOf(folders, compiled.module.name) ?? {};
      const spec = { worker: await workerCode(), compiled, memoryBytes };
      const thread = await startThread(spec, report, living);
      try {
        const handlers = await handlersIn(compiled, thread);
        threads.set(handlers, thread);
        return handlers;
      } catch (error) {
        await thread.close();
        throw error;
      }
    },
    keep(loaded) {
      for (const [handlers, thread] of threads) {
        if (loaded.has(handlers)) continue;
        threads.delete(handlers);
        thread.retire();
      }
    },
    async close() {
      await Promise.all([...living].map((thread) => thread.close()));
    },
  };
}

function settingsOf(folders: Readonly<Record<string, FolderSettings>>, module: string) {
  return Object.hasOwn(folders, module) ? folders[module] : undefined;
}
