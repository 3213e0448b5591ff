// The configuration file: YAML to the values of known keys, each with the line that it stands in. Nothing of
// the file is trusted: every fault becomes a problem, so that all are told at once.
import { readFileSync } from "node:fs";
import { isMap, isScalar, LineCounter, type Node, parseDocument, type YAMLMap } from "yaml";
import { isKeyPath, type KeyPath, keyPaths } from "./config-keys.ts";
import type { ConfigProblem, Given } from "./config-problems.ts";
import { nearest } from "./nearest.ts";

export interface FileContent {
  readonly given: ReadonlyMap<KeyPath, Given>;
  readonly problems: readonly ConfigProblem[];
}

/** Reads the file, or returns undefined where there is none. */
export function readConfigFile(file: string): FileContent | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    const why = error instanceof Error ? error.message : String(error);
    return { given: new Map(), problems: [{ file, message: `the file cannot be read: ${why}` }] };
  }
  return parseConfigFile(file, text);
}

export function parseConfigFile(file: string, text: string): FileContent {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const given = new Map<KeyPath, Given>();
  const problems: ConfigProblem[] = document.errors.map(({ message, pos }) => {
    return { file, line: lines.linePos(pos[0]).line, message: `not YAML: ${firstLine(message)}` };
  });
  const lineOf = (node: unknown) => lines.linePos((node as Node | null)?.range?.[0] ?? 0).line;

  function readMap(map: YAMLMap, above: string): void {
    for (const { key, value } of map.items) {
      const line = lineOf(key);
      const path = above + (isScalar(key) ? String(key.value) : String(key));
      // An empty value, as in a section whose keys are all commented out, is no value.
      if (value === null || (isScalar(value) && value.value === null)) {
        if (!isKeyPath(path) && !isSection(path)) problems.push(unknown(path, line));
      } else if (isKeyPath(path)) {
        const plain = (value as Node).toJS(document);
        const lines = isMap(value) ? { lines: linesIn(value) } : {};
        given.set(path, { value: plain, file, line: lineOf(value), ...lines });
      } else if (!isSection(path)) {
        problems.push(unknown(path, line));
      } else if (isMap(value)) {
        readMap(value, `${path}.`);
      } else {
        const message = `${path} must hold keys of its own: ${childrenOf(path).join(", ")}`;
        problems.push({ file, line, key: path, message });
      }
    }
  }

  function linesIn(map: YAMLMap, above: readonly string[] = []): Map<string, number> {
    const found = new Map<string, number>();
    for (const { key, value } of map.items) {
      const path = [...above, isScalar(key) ? String(key.value) : String(key)];
      found.set(path.join("\n"), lineOf(key));
      if (isMap(value)) for (const [name, line] of linesIn(value, path)) found.set(name, line);
    }
    return found;
  }

  function unknown(path: string, line: number): ConfigProblem {
    const above = path.slice(0, path.lastIndexOf(".") + 1);
    const siblings = childrenOf(above.slice(0, -1));
    const near = nearest(path.slice(above.length), siblings);
    const meant = near === undefined ? "" : ` Did you mean ${above}${near}?`;
    const place = above === "" ? "The keys are" : `The keys of ${above.slice(0, -1)} are`;
    const message = `${path} is no key.${meant} ${place}: ${siblings.join(", ")}`;
    return { file, line, key: path, message };
  }

  const root = document.contents;
  if (isMap(root)) readMap(root, "");
  else if (problems.length === 0 && root !== null && !(isScalar(root) && root.value === null)) {
    problems.push({ file, line: 1, message: "the file must hold keys, such as `app: eddy`" });
  }
  return { given, problems };
}

function isSection(path: string): boolean {
  return keyPaths.some((key) => key.startsWith(`${path}.`));
}

function childrenOf(section: string): string[] {
  const prefix = section === "" ? "" : `${section}.`;
  const below = keyPaths.filter((path) => path.startsWith(prefix));
  return [...new Set(below.map((path) => path.slice(prefix.length).split(".")[0] ?? ""))];
}

function firstLine(text: string): string {
  return text.split("\n")[0] ?? text;
}
