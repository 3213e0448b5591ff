// What the handlers folder holds: a module is a source file at its top, or a folder with source files. Owns the
// rules of what counts. Reads directories only, no file; what vanishes while it looks is not there.
import { readdir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";

export interface FoundModule {
  /** Name of the file or folder in the handlers folder: `orders`, `audit.ts`. */
  readonly name: string;
  readonly path: string;
  /** Its source files: absolute, sorted, symlinks as they are named here. */
  readonly files: readonly string[];
  /** Why a part of it could not be looked at. */
  readonly unreadable?: string;
}

export type Found =
  | {
      readonly kind: "found";
      /** Changes when another folder is mounted or renamed to this path. */
      readonly identity: string;
      readonly modules: readonly FoundModule[];
    }
  | { readonly kind: "missing" | "unreadable"; readonly message: string };

/** Looks at a handlers folder. Never throws. */
export async function findModules(folder: string): Promise<Found> {
  try {
    const { dev, ino } = await stat(folder);
    const modules: FoundModule[] = [];
    for (const entry of await list(folder)) {
      const module = await asModule(folder, entry);
      if (module !== undefined) modules.push(module);
    }
    return { kind: "found", identity: `${dev}:${ino}`, modules };
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") {
      return { kind: "missing", message: `the handlers folder ${folder} does not exist` };
    }
    const why = code === "ENOTDIR" ? "it is not a folder" : String(error);
    return {
      kind: "unreadable",
      message: `the handlers folder ${folder} cannot be read: ${why}`,
    };
  }
}

function isSourceFile(name: string): boolean {
  return (
    !isHidden(name) &&
    /\.[cm]?[jt]s$/.test(name) &&
    !/\.d\.[cm]?ts$/.test(name) &&
    !/\.test\.[^.]+$/.test(name)
  );
}

/** Names that are never a module or a part of one, unless another file imports them. */
function isHidden(name: string): boolean {
  return name.startsWith(".") || name.startsWith("_") || name === "node_modules";
}

interface Entry {
  readonly path: string;
  readonly name: string;
  readonly folder: boolean;
}

async function asModule(folder: string, entry: Entry): Promise<FoundModule | undefined> {
  const { name, path } = entry;
  if (!entry.folder) return isSourceFile(name) ? { name, path, files: [path] } : undefined;
  if (isHidden(name)) return undefined;
  const files: string[] = [];
  try {
    await collect(path, files, new Set([await realpath(folder)]));
  } catch (error) {
    if (codeOf(error) !== "ENOENT") return { name, path, files, unreadable: String(error) };
  }
  return files.length === 0 ? undefined : { name, path, files };
}

/** Adds the source files below a folder. `seen` ends circles of symlinks. */
async function collect(folder: string, files: string[], seen: Set<string>): Promise<void> {
  const real = await realpath(folder);
  if (seen.has(real)) return;
  seen.add(real);
  for (const entry of await list(folder)) {
    if (entry.folder && !isHidden(entry.name)) await collect(entry.path, files, seen);
    else if (!entry.folder && isSourceFile(entry.name)) files.push(entry.path);
  }
}

async function list(folder: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    const target = entry.isSymbolicLink() ? await stat(path).catch(() => undefined) : entry;
    if (target === undefined || !(target.isFile() || target.isDirectory())) continue;
    entries.push({ name: entry.name, path, folder: target.isDirectory() });
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
