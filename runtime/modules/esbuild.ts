// esbuild, whose process goes once nobody uses it: with 30 MB it would be a third of what an idle node takes.
// E1 Whoever uses esbuild in this process does so through here: stopped under a build, it never answers.
import * as esbuild from "esbuild";

const restMs = 1_000; // a folder that is read at the start, or an editor that saves in bursts, starts it once
let users = 0;
let rest: NodeJS.Timeout | undefined;

export const build: typeof esbuild.build = (options) => using(() => esbuild.build(options));

export const formatMessages: typeof esbuild.formatMessages = (messages, options) =>
  using(() => esbuild.formatMessages(messages, options));

/** Its process is gone (killed, out of memory) and would stay so: the next build starts another one. */
export const restart = esbuild.stop;

async function using<Result>(work: () => Promise<Result>): Promise<Result> {
  clearTimeout(rest);
  users++;
  try {
    return await work();
  } finally {
    users--;
    if (users === 0) rest = setTimeout(() => void esbuild.stop(), restMs).unref();
  }
}
