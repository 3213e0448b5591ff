// Hints from the file system that something may have changed. Owns the watcher, and nothing that is decided by it:
// a hint too many costs a look, one too few is found by the next look at the clock.
import { dirname, join, relative, sep } from "node:path";
import { watch } from "chokidar";

export interface Hints {
  /** Also watches the folders of these files; those watched for earlier files are kept. */
  follow(files: Iterable<string>): void;
  close(): Promise<void>;
}

/** Watches a handlers folder. `onTrouble` is told once where the file system cannot be watched. */
export function openHints(
  folder: string,
  onHint: () => void,
  onTrouble: (error: unknown) => void,
): Hints {
  const outside = new Set<string>();
  const watcher = watch(folder, {
    ignoreInitial: true,
    // Holds back what looks like an editor's rename for 100 ms; the bell gathers hints already.
    atomic: false,
    ignored: (path) => (isBelow(folder, path) ? isIgnored(folder, path) : !isListed(outside, path)),
  });
  let troubled = false;
  watcher.on("ready", onHint);
  watcher.on("all", onHint);
  // Chokidar swallows a change within 50 ms of another one; raw events are all there.
  watcher.on("raw", onHint);
  watcher.on("error", (error) => {
    if (!troubled) onTrouble(error);
    troubled = true;
  });
  return {
    follow(files) {
      for (const file of files) {
        const parent = dirname(file);
        if (isBelow(folder, file) || outside.has(parent) || isPackage(file)) continue;
        outside.add(parent);
        watcher.add(parent);
      }
    },
    close: () => watcher.close(),
  };
}

function isBelow(folder: string, path: string): boolean {
  return path === folder || path.startsWith(join(folder, sep));
}

function isIgnored(folder: string, path: string): boolean {
  return relative(folder, path)
    .split(sep)
    .some((part) => /^\.[^.]|^node_modules$/.test(part));
}

/** A folder outside, or something directly in it. */
function isListed(outside: ReadonlySet<string>, path: string): boolean {
  return outside.has(path) || outside.has(dirname(path));
}

function isPackage(file: string): boolean {
  return file.includes(`${sep}node_modules${sep}`);
}
