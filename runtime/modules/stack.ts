// Positions in compiled modules back to source files. Owns the source maps of the versions that are live.
// Node's own source map support would keep the map of every version ever loaded, so it is not used.
import { relative, resolve } from "node:path";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";

export interface SourcePosition {
  /** Absolute path. */
  readonly file: string;
  /** 1 for the first. */
  readonly line: number;
  /** 1 for the first. */
  readonly column: number;
}

/** What it takes to map a script. Source paths in `map` are relative to `folder`. */
export interface ScriptMap {
  readonly folder: string;
  readonly map: string;
  /** Files that the handlers folder names otherwise (symlinks): real path to the path to show. */
  readonly shown: ReadonlyMap<string, string>;
}

const maps = new Map<string, ScriptMap & { trace?: TraceMap }>();

/** The file name that a version's script has in stacks. */
export function scriptName(path: string, version: string): string {
  return `eddy:${path}@${version}`;
}

const place = /(eddy:[^\n]*?@[0-9a-f]{8}):(\d+):(\d+)/g;

export function keepMap(script: string, map: ScriptMap): void {
  maps.set(script, map);
}

/** Drops the maps of a handlers folder except these scripts'. */
export function dropMaps(folder: string, except: ReadonlySet<string>): void {
  for (const [script, map] of maps) {
    if (map.folder === folder && !except.has(script)) maps.delete(script);
  }
}

/** Rewrites positions in compiled modules to `path:line:column` of the source file. */
export function mapStack(stack: string): string {
  return stack.replace(place, (whole, script: string, line: string, column: string) => {
    const at = sourceOf(script, Number(line), Number(column));
    return at === undefined ? whole : `${showPath(at.file)}:${at.line}:${at.column}`;
  });
}

/** The first position of a stack that is in a compiled module. */
export function firstPosition(stack: string): SourcePosition | undefined {
  for (const [, script = "", line, column] of stack.matchAll(place)) {
    const at = sourceOf(script, Number(line), Number(column));
    if (at !== undefined) return at;
  }
  return undefined;
}

/** How a path is shown to people: relative to the working directory where it is below it. */
export function showPath(path: string): string {
  const below = relative(process.cwd(), path);
  return below === "" || below.startsWith("..") ? path : below;
}

function sourceOf(script: string, line: number, column: number): SourcePosition | undefined {
  const known = maps.get(script);
  if (known === undefined) return undefined;
  known.trace ??= new TraceMap(known.map);
  const at = originalPositionFor(known.trace, { line, column: column - 1 });
  if (at.source === null) return undefined;
  const file = resolve(known.folder, at.source);
  return { file: known.shown.get(file) ?? file, line: at.line, column: at.column + 1 };
}
