// Whether files changed since they were last looked at. Owns what counts as a change of a file: cheap, no content.
// G1 A change is never missed: a file so young that a second write could leave the same times differs next time.
import { stat } from "node:fs/promises";
import { codeOf } from "./find.ts";

/** What each file looked like. */
export type Signature = ReadonlyMap<string, string>;

/** Looks at files that were read after `sinceMs` (Date.now()): what was written later may not have been read. */
export function signatureOf(paths: Iterable<string>, sinceMs = Date.now()): Promise<Signature> {
  return createLooks(sinceMs)(paths);
}

/** The same for many modules: a file that several of them ask for is looked at once. */
export function createLooks(sinceMs = Date.now()): (paths: Iterable<string>) => Promise<Signature> {
  const seen = new Map<string, Promise<string>>();
  const lookOnce = (path: string) => {
    const found = seen.get(path) ?? look(path, sinceMs);
    seen.set(path, found);
    return found;
  };
  return async (paths) => {
    const watched = [...new Set([...paths].map(standIn))];
    return new Map(
      await Promise.all(watched.map(async (path) => [path, await lookOnce(path)] as const)),
    );
  };
}

/** Whether a file that stands in both looks different. */
export function differs(before: Signature, after: Signature): boolean {
  for (const [path, seen] of after) if ((before.get(path) ?? seen) !== seen) return true;
  return false;
}

/** An installed package changes as a whole: its manifest stands for its files, which may be hundreds. */
function standIn(path: string): string {
  const found = /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path);
  return found === null ? path : `${found[0]}/package.json`;
}

async function look(path: string, sinceMs: number): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    // Kernels stamp by their tick (4 to 10 ms), old file systems by one or two seconds.
    const grainMs = ctimeNs % 1_000_000_000n === 0n ? 2_000 : 10;
    const young = Number(ctimeNs / 1_000_000n) > sinceMs - grainMs ? " young" : "";
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}${young}`;
  } catch (error) {
    return codeOf(error) ?? "unreadable";
  }
}
