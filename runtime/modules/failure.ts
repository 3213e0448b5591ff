// Why a module's newest version does not run, for the person who just saved it: file, line, column, code frame.
import { readFile, realpath } from "node:fs/promises";
import { resolve } from "node:path";
import type { Message } from "esbuild";
import { describeThrown, EddyError } from "../events/index.ts";
import { type Compiled, isBuildFailure } from "./compile.ts";
import { formatMessages } from "./esbuild.ts";
import type { FoundModule } from "./find.ts";
import { firstPosition, type SourcePosition, showPath } from "./stack.ts";

export interface ModuleFailure {
  readonly module: string;
  /** EDDY_HANDLER_COMPILE, EDDY_HANDLER_LOAD, EDDY_DECLARATION, … */
  readonly code: string;
  readonly message: string;
  /** Relative to the working directory where it is below it, else absolute. */
  readonly file: string;
  /** 1 for the first. */
  readonly line?: number;
  /** 1 for the first. */
  readonly column?: number;
  /** Code frame, plain text. */
  readonly frame?: string;
}

/** The failure of a build. */
export async function compileFailure(
  folder: string,
  module: FoundModule,
  error: unknown,
): Promise<ModuleFailure> {
  const code = "EDDY_HANDLER_COMPILE";
  if (!isBuildFailure(error) || error.errors[0] === undefined) {
    const message = `${module.name} cannot be compiled: ${describeThrown(error).message}`;
    return { module: module.name, code, message, file: showPath(module.path) };
  }
  const shown = await namesOfRealPaths(module);
  const messages = error.errors.slice(0, framesMax).map((m) => explain(relocate(m, folder, shown)));
  const { text, location } = messages[0] ?? error.errors[0];
  const more = error.errors.length > 1 ? ` (and ${error.errors.length - 1} more)` : "";
  const frame = await format(messages);
  if (location === null) {
    return { module: module.name, code, message: text + more, file: showPath(module.path), frame };
  }
  const { file, line } = location;
  const column = charsOf(location.lineText, location.column) + 1;
  return { module: module.name, code, message: text + more, file, line, column, frame };
}

/** The failure of a module that threw while it was loaded. */
export async function loadFailure(compiled: Compiled, thrown: unknown): Promise<ModuleFailure> {
  const { name: module, path, files } = compiled.module;
  const { name, message, stack = "" } = describeThrown(thrown);
  const at = firstPosition(stack);
  if (at === undefined && thrown instanceof EddyError) {
    return failureOf(compiled.map.folder, compiled.module, thrown);
  }
  const code = thrown instanceof EddyError ? thrown.code : "EDDY_HANDLER_LOAD";
  const text =
    thrown instanceof EddyError ? message : `it threw while loading: ${name}: ${message}`;
  if (at === undefined) return { module, code, message: text, file: showPath(files[0] ?? path) };
  const frame = await frameAt(text, at);
  const { line, column } = at;
  return { module, code, message: text, file: showPath(at.file), line, column, frame };
}

/** The failure of a module as a whole, or of the file that the error's facts name. */
export function failureOf(
  folder: string,
  { name: module, path, files }: FoundModule,
  { code, message, facts }: EddyError,
): ModuleFailure {
  const file = typeof facts.file === "string" ? resolve(folder, facts.file) : (files[0] ?? path);
  return { module, code, message, file: showPath(file) };
}

export function sameFailure(a: ModuleFailure | undefined, b: ModuleFailure | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

const framesMax = 5;

async function frameAt(text: string, at: SourcePosition): Promise<string> {
  const source = await readFile(at.file, "utf8").catch(() => "");
  const lineText = source.split(/\r?\n/)[at.line - 1] ?? "";
  const column = Buffer.byteLength(lineText.slice(0, at.column - 1));
  const location = { file: showPath(at.file), line: at.line, column, lineText };
  return format([{ text, location }]);
}

async function format(messages: Parameters<typeof formatMessages>[0]): Promise<string> {
  const texts = await formatMessages(messages, { kind: "error", color: false });
  return texts.join("").trimEnd();
}

/** esbuild speaks of real paths, people of those in the handlers folder. */
async function namesOfRealPaths(module: FoundModule): Promise<ReadonlyMap<string, string>> {
  const real = module.files.map(
    async (path) => [await realpath(path).catch(() => path), path] as const,
  );
  return new Map(await Promise.all(real));
}

function relocate(message: Message, folder: string, shown: ReadonlyMap<string, string>): Message {
  const show = <At extends { file: string }>(location: At): At => {
    const file = resolve(folder, location.file);
    return { ...location, file: showPath(shown.get(file) ?? file) };
  };
  const notes = message.notes.map((note) => {
    return note.location === null ? note : { ...note, location: show(note.location) };
  });
  const location = message.location === null ? null : show(message.location);
  return { ...message, location, notes };
}

/** esbuild has no code for it, so this goes by its text; a test holds it up. */
function explain(message: Message): Message {
  if (!message.text.startsWith("Top-level await")) return message;
  const text =
    "Top-level await is not supported in handler modules: they load in one go, so that they can be swapped. " +
    "Await inside the handler, or inside a function that it calls";
  return { ...message, text, notes: [] };
}

/** esbuild counts columns in bytes. */
function charsOf(line: string, bytes: number): number {
  return Buffer.from(line).subarray(0, bytes).toString().length;
}
