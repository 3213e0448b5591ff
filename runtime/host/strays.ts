// Errors that reach nobody: a promise or a timer that a handler left behind. One such handler must not end the node.
// S1 What comes from the runtime's own code is a bug: it is not hidden, the process ends and starts anew.
import { describeThrown } from "../events/index.ts";
import { mapStack } from "../modules/index.ts";
import type { Logger } from "../observe/index.ts";

/** This installation's own files, as stacks name them. */
const own = new URL("../", import.meta.url).href;

/** Watches the whole process. Returns what ends it. */
export function watchStrays(log: Logger): () => void {
  const onStray = (thrown: unknown) => {
    const { name, message, stack = "" } = describeThrown(thrown);
    const isOurs = stack.includes(own) && !stack.includes("eddy:");
    if (isOurs) throw thrown;
    const err = { name, message, stack: mapStack(stack) };
    const sentence = `a handler left something behind that failed after its result: ${name}: ${message}. Await everything before a handler returns`;
    log.error({ code: "EDDY_HANDLER_STRAY", err }, sentence);
  };
  process.on("unhandledRejection", onStray);
  process.on("uncaughtException", onStray);
  return () => {
    process.off("unhandledRejection", onStray);
    process.off("uncaughtException", onStray);
  };
}
