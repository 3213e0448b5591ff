// `eddy replay --what-if`: which events and entries would differ with changed code, and how.
import { statSync } from "node:fs";
import { basename, resolve } from "node:path";
import type { Handler } from "../authoring/index.ts";
import { type LoadedModules, loadFile, loadModules } from "../modules/index.ts";
import { printable } from "../observe/index.ts";
import {
  type Compared,
  compareOver,
  type Difference,
  type Emitted,
  type Span,
} from "../pipeline/index.ts";
import { notFound } from "./exits.ts";
import { loadFailure } from "./find-handler.ts";
import { brief, print, printJson } from "./output.ts";
import { showSpanProgress } from "./progress.ts";
import { placeJson, placeText, spanJson } from "./replay-output.ts";

type Parts = Parameters<typeof compareOver>[0];

const shownMax = 20;
const valueCharsMax = 300;

export async function whatIf(parts: Parts, { json }: { readonly json?: true }): Promise<void> {
  const { live, next, span } = parts;
  const progress = showSpanProgress();
  const told = await compareOver({ ...parts, onProgress: progress.show }).finally(progress.end);
  if (json) {
    const versions = { live: live.version, next: next.version };
    const differences = told.differences.map((difference) => asJson(span, difference));
    return printJson({ handler: live.name, versions, ...spanJson(span), ...told, differences });
  }
  for (const line of comparedLines(span, told)) print(line);
}

function asJson(span: Span, difference: Difference): object {
  if (difference.kind === "entries") return difference;
  const { kind, position, ...rest } = difference;
  return { kind, ...placeJson(span, position), ...rest };
}

/** The handler's other version, under its name: its effects then differ by nothing but what it does. */
export async function loadNext(path: string, live: Handler): Promise<Handler> {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) throw notFound(`--what-if: there is no file or folder ${resolve(path)}`);
  const loaded = stat.isDirectory() ? await loadModules(path) : await loadFile(path);
  const found = sameHandler(loaded.handlers, live);
  if (found === undefined) throw loadFailure(loaded) ?? lacking(path, live, loaded);
  return { ...found, name: live.name };
}

/** By its name; or by file and export, or export alone, where the file does not stand in its folder. */
function sameHandler(handlers: readonly Handler[], live: Handler): Handler | undefined {
  const alike = handlers.filter(({ declaration }) => declaration.kind === live.declaration.kind);
  const exact = alike.find(({ name }) => name === live.name);
  if (exact !== undefined || live.declaration.kind === "projection") return exact;
  const byFile = alike.filter(({ name }) => basename(name) === basename(live.name));
  if (byFile.length === 1) return byFile[0];
  const exportOf = (name: string) => name.slice(name.lastIndexOf(".") + 1);
  const byExport = alike.filter(({ name }) => exportOf(name) === exportOf(live.name));
  return byExport.length === 1 ? byExport[0] : undefined;
}

function lacking(path: string, live: Handler, { handlers }: LoadedModules) {
  const names =
    handlers
      .map(({ name }) => name)
      .slice(0, 20)
      .join(", ") || "none";
  return notFound(
    `--what-if: ${resolve(path)} has no other version of ${live.name}. It has: ${names}`,
  );
}

function* comparedLines(
  span: Span,
  { read, differing, mended, differences }: Compared,
): Generator<string> {
  const { emits, entries, letters } = differing;
  for (const difference of differences.slice(0, shownMax)) yield* differenceLines(span, difference);
  const all = emits + entries + letters;
  if (all > shownMax) yield `… and ${all - shownMax} more: --json has them`;
  if (all === 0) yield `No difference over ${read} events.`;
  else
    yield `Over ${read} events: ${emits} emit other events, ${entries} entries differ, ${letters} fail differently (${mended} of them not any more).`;
  yield "Nothing was stored. ctx.get has read the entries as they are now.";
}

function* differenceLines(span: Span, difference: Difference): Generator<string> {
  if (difference.kind === "entries") {
    yield `entry ${printable(difference.key)}`;
    yield `  - ${valueText(difference.live)}`;
    yield `  + ${valueText(difference.next)}`;
    return;
  }
  const { position, type = "no event", id } = difference;
  yield printable(`${placeText(span, position)} ${type}${id === undefined ? "" : ` (id ${id})`}`);
  if (difference.kind === "letters") {
    yield `  - ${failureText(difference.live)}`;
    yield `  + ${failureText(difference.next)}`;
    return;
  }
  for (const emitted of difference.live) yield `  - ${emittedText(emitted)}`;
  for (const emitted of difference.next) yield `  + ${emittedText(emitted)}`;
}

function valueText(value: unknown): string {
  return value === null ? "(none)" : brief(value, valueCharsMax);
}

function failureText(failure: { readonly code: string; readonly message: string } | null): string {
  return failure === null ? "succeeds" : printable(`fails: ${failure.code}: ${failure.message}`);
}

function emittedText({ type, key, data }: Emitted): string {
  return `${printable(type)}  ${printable(key)}  ${brief(data, valueCharsMax)}`;
}
