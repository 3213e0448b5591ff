// What compiling leaves behind, once nothing is compiled: esbuild's process (30 MB) and the start's garbage (another 20).
// An idle process allocates too little to collect by itself, and on a small node it is idle most of the time.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { stop } from "esbuild";

const restMs = 1_000; // a folder that is read at the start, or an editor that saves in bursts, is one piece of work
const startMs = 3_000; // what was compiled first has to be taken over as well
let working = 0;
let timer: NodeJS.Timeout | undefined;
let collected = false;

/** Runs a piece of work that compiles; it may run beside others. */
export async function compiling<Result>(work: () => Promise<Result>): Promise<Result> {
  clearTimeout(timer);
  working++;
  try {
    return await work();
  } finally {
    working--;
    if (working === 0) timer = setTimeout(rest, restMs).unref();
  }
}

function rest(): void {
  void stop(); // the next build starts another one
  if (collected) return;
  collected = true; // later ones would be pauses under load
  setTimeout(collect, startMs).unref();
}

function collect(): void {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("gc");
  if (typeof gc === "function") gc();
  setFlagsFromString("--no-expose-gc");
}
