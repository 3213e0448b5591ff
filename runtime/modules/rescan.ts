// One look at the handlers folder: from the picture before to the picture after, with what is to be reported.
// R1 A module whose newest version does not run keeps the version that ran before.
// R2 A folder that is gone or unreadable as a whole changes nothing: that is a mount, not a wish. A readable one rules.
// R3 What was read while it was written is read again.
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Handler } from "../authoring/index.ts";
import { EddyError } from "../events/index.ts";
import { type Compiled, compileModule } from "./compile.ts";
import { evaluate } from "./evaluate.ts";
import {
  compileFailure,
  failureOf,
  loadFailure,
  type ModuleFailure,
  sameFailure,
} from "./failure.ts";
import { type FoundModule, findModules } from "./find.ts";
import { handlersOf, settleNames } from "./handlers.ts";
import { createLooks, differs, type Signature, signatureOf } from "./signature.ts";
import { dropMaps, keepMap } from "./stack.ts";
import type { Threads } from "./threads.ts";
import type { Verify, Version } from "./verify.ts";

export type FolderState = "missing" | "unreadable" | "empty" | "found";

export type ModuleReport =
  | {
      readonly kind: "loaded";
      readonly module: string;
      readonly version: string;
      readonly handlers: readonly string[];
      /** From noticed to loaded. */
      readonly ms: number;
      /** What its check before the reload has found. */
      readonly verified?: string;
    }
  | {
      readonly kind: "failed";
      readonly failure: ModuleFailure;
      /** The version that runs on. */
      readonly running?: string;
    }
  | { readonly kind: "removed"; readonly module: string; readonly handlers: readonly string[] }
  | { readonly kind: "folder"; readonly state: FolderState; readonly message: string }
  /** Settings that apply to nothing. */
  | { readonly kind: "setting"; readonly module: string; readonly message: string };

interface Loaded extends Version {
  readonly version: string;
  readonly script: string;
  readonly verified?: string;
}

interface ModuleState {
  readonly live?: Loaded;
  /** Loaded, but kept back: a name of it is taken. Tried again whenever another module changes. */
  readonly waiting?: Loaded;
  /** Of the version before: its events may still be in flight. */
  readonly replaced?: string;
  readonly failure?: ModuleFailure;
  /** Of all files that the newest version was made from. */
  readonly signature: Signature;
}

export interface Picture {
  readonly folder: FolderState;
  /** Changes with the folder that is mounted there. */
  readonly identity: string;
  readonly modules: ReadonlyMap<string, ModuleState>;
}

export const blank: Picture = { folder: "found", identity: "", modules: new Map() };

export interface Rescan {
  readonly picture: Picture;
  readonly reports: readonly ModuleReport[];
}

export function handlersIn({ modules }: Picture): readonly Handler[] {
  return [...modules.values()].flatMap(({ live }) => live?.handlers ?? []);
}

/** The handlers of every version that runs or may come to run. */
export function loadedIn({ modules }: Picture): ReadonlySet<readonly Handler[]> {
  const loaded = [...modules.values()].flatMap(({ live, waiting }) => [live, waiting]);
  return new Set(loaded.flatMap((version) => (version === undefined ? [] : [version.handlers])));
}

/** Every file that something in the picture was made from. */
export function inputsOf({ modules }: Picture): string[] {
  return [...modules.values()].flatMap(({ signature }) => [...signature.keys()]);
}

/** Looks at the folder once. `noticed` (performance.now()) is where a report's `ms` count from. */
export async function rescan(
  folder: string,
  before: Picture,
  noticed: number,
  threads?: Threads,
  verify?: Verify,
): Promise<Rescan> {
  const found = await findModules(folder);
  if (found.kind !== "found") {
    const picture = { ...before, folder: found.kind, identity: "" };
    const running = handlersIn(before).length;
    const now = running === 0 ? "nothing runs" : `what runs goes on (handlers: ${running})`;
    const message = `${found.message}; ${now}, and it is looked for again`;
    return { picture, reports: folderReport(before, picture, message) };
  }
  const shared: Shared = {
    folder,
    settings: settingsIn(folder),
    looks: createLooks(),
    threads,
    verify,
  };
  const states = found.modules.map(async (module) => {
    const state = await refresh(shared, module, before.modules.get(module.name));
    return [module.name, state] as const;
  });
  const modules = settle(folder, found.modules, new Map(await Promise.all(states)));
  const state = modules.size === 0 ? "empty" : "found";
  const picture: Picture = { folder: state, identity: found.identity, modules };
  dropMaps(folder, scriptsIn(picture));
  const message =
    state === "empty"
      ? `the handlers folder ${folder} holds no module: a .ts or .js file, or a folder with some`
      : `the handlers folder ${folder} is there again`;
  const ms = performance.now() - noticed;
  return {
    picture,
    reports: [...folderReport(before, picture, message), ...moduleReports(before, picture, ms)],
  };
}

/** What all modules of one look have in common. */
interface Shared {
  readonly folder: string;
  readonly settings: readonly string[];
  readonly looks: typeof signatureOf;
  readonly threads: Threads | undefined;
  readonly verify: Verify | undefined;
}

/** A writer that never stops must not stop reloads: after so many tries what was read is taken. */
const staleTriesMax = 3;

/** The module's state after a look at its files; a version that loads is `waiting` until names are settled. */
async function refresh(
  { folder, settings, looks, threads, verify }: Shared,
  module: FoundModule,
  before: ModuleState | undefined,
): Promise<ModuleState> {
  const isFile = module.files[0] === module.path;
  const own = [...module.files, ...settings, ...(isFile ? [] : settingsIn(module.path))];
  const known = before?.signature.keys() ?? [];
  let signature = await looks([...own, ...known]);
  if (before !== undefined && !isDue(before, signature)) return before;
  for (let tries = 1; ; tries++) {
    const startedMs = Date.now();
    const attempt = await attemptOf(folder, module, before, threads);
    const after = await signatureOf([...own, ...(attempt.inputs ?? known)], startedMs);
    const stale = differs(signature, after);
    signature = after;
    if (stale && tries < staleTriesMax) continue;
    const result = await verified(folder, module, before?.live, attempt.result, verify);
    return stateAfter(before, { ...attempt, result }, signature);
  }
}

/** Where it is not known what a failed build would have read, it is tried at every look. */
function isDue(before: ModuleState, now: Signature): boolean {
  const { failure, signature } = before;
  const blind = failure !== undefined && blindCodes.has(failure.code);
  return blind || now.size !== signature.size || differs(signature, now);
}

const blindCodes: ReadonlySet<string> = new Set([
  "EDDY_HANDLER_COMPILE",
  "EDDY_HANDLER_UNREADABLE",
  "EDDY_RELOAD_UNVERIFIED", // the server may answer by then
]);

/** Files that change what esbuild makes of the sources. */
function settingsIn(folder: string): string[] {
  return [join(folder, "tsconfig.json"), join(folder, "package.json")];
}

interface Attempt {
  readonly result: Loaded | ModuleFailure;
  /** Absent where the build did not get far enough to tell. */
  readonly inputs?: readonly string[];
}

async function attemptOf(
  folder: string,
  module: FoundModule,
  before: ModuleState | undefined,
  threads: Threads | undefined,
): Promise<Attempt> {
  if (module.unreadable !== undefined) {
    const text = `a folder of the module ${module.name} cannot be read: ${module.unreadable}`;
    return { result: failureOf(folder, module, new EddyError("EDDY_HANDLER_UNREADABLE", text)) };
  }
  let compiled: Compiled;
  try {
    compiled = await compileModule(folder, module);
  } catch (error) {
    return { result: await compileFailure(folder, module, error) };
  }
  const { version, script, inputs } = compiled;
  keepMap(script, compiled.map);
  const known = [before?.live, before?.waiting].find((loaded) => loaded?.version === version);
  if (known !== undefined) return { result: known, inputs };
  try {
    const handlers = threads?.isolates(module.name)
      ? await threads.load(compiled)
      : handlersOf(compiled, evaluate(compiled));
    return { result: { version, script, handlers, compiled }, inputs };
  } catch (thrown) {
    return { result: await loadFailure(compiled, thrown), inputs };
  }
}

/** The version once it has shown that it may take over from the one that runs; else why it may not. */
async function verified(
  folder: string,
  module: FoundModule,
  live: Loaded | undefined,
  result: Attempt["result"],
  verify: Verify | undefined,
): Promise<Attempt["result"]> {
  if (verify === undefined || live === undefined || "code" in result || result === live)
    return result;
  try {
    const note = await verify(live, result);
    return note === undefined ? result : { ...result, verified: note };
  } catch (error) {
    if (!(error instanceof EddyError)) throw error;
    return failureOf(folder, module, error);
  }
}

function stateAfter(
  before: ModuleState | undefined,
  { result }: Attempt,
  signature: Signature,
): ModuleState {
  const { live, replaced } = before ?? {};
  const runs = { ...(live && { live }), ...(replaced && { replaced }), signature };
  if ("code" in result) return { ...runs, failure: result };
  return result === live ? runs : { ...runs, waiting: result };
}

/** Decides on the versions that wait: a name belongs to one module. */
function settle(
  folder: string,
  modules: readonly FoundModule[],
  states: ReadonlyMap<string, ModuleState>,
): ReadonlyMap<string, ModuleState> {
  const pick = (which: "live" | "waiting") =>
    new Map([...states].flatMap(([name, s]) => (s[which] ? [[name, s[which].handlers]] : [])));
  const { accepted, refused } = settleNames(pick("live"), pick("waiting"));
  return new Map(
    modules.map((module) => {
      const state = states.get(module.name);
      assert(state !== undefined);
      const { live, waiting, signature } = state;
      const error = refused.get(module.name);
      if (error !== undefined) {
        return [module.name, { ...state, failure: failureOf(folder, module, error) }];
      }
      if (waiting === undefined || !accepted.has(module.name)) return [module.name, state];
      const replaced = live === undefined ? {} : { replaced: live.script };
      return [module.name, { live: waiting, signature, ...replaced }];
    }),
  );
}

function scriptsIn({ modules }: Picture): ReadonlySet<string> {
  const scripts = [...modules.values()].flatMap(({ live, waiting, replaced }) => [
    live?.script,
    waiting?.script,
    replaced,
  ]);
  return new Set(scripts.filter((script) => script !== undefined));
}

function folderReport(before: Picture, after: Picture, message: string): ModuleReport[] {
  if (before.folder === after.folder) return [];
  return [{ kind: "folder", state: after.folder, message }];
}

function moduleReports(before: Picture, after: Picture, ms: number): ModuleReport[] {
  const reports: ModuleReport[] = [];
  const names = (loaded: Loaded | undefined) => loaded?.handlers.map(({ name }) => name) ?? [];
  for (const [module, { live, failure }] of after.modules) {
    const was = before.modules.get(module);
    if (failure !== undefined && !sameFailure(was?.failure, failure)) {
      reports.push({ kind: "failed", failure, ...(live && { running: live.version }) });
    }
    const mended = was?.failure !== undefined && failure === undefined;
    if (live !== undefined && (live !== was?.live || mended)) {
      const { version, verified } = live;
      const note = verified === undefined ? {} : { verified };
      reports.push({ kind: "loaded", module, version, handlers: names(live), ms, ...note });
    }
  }
  for (const [module, { live }] of before.modules) {
    if (!after.modules.has(module))
      reports.push({ kind: "removed", module, handlers: names(live) });
  }
  return reports;
}
