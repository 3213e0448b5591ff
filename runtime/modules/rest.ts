// esbuild's process goes once nothing is compiled: with 30 MB it would be a third of what an idle node takes.
import { stop } from "esbuild";

const restMs = 1_000; // a folder that is read at the start, or an editor that saves in bursts, is one piece of work
let working = 0;
let timer: NodeJS.Timeout | undefined;

/** Runs a piece of work that compiles; it may run beside others. The next one after a rest starts another process. */
export async function compiling<Result>(work: () => Promise<Result>): Promise<Result> {
  clearTimeout(timer);
  working++;
  try {
    return await work();
  } finally {
    working--;
    if (working === 0) timer = setTimeout(() => void stop(), restMs).unref();
  }
}
