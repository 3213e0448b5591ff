// The house is tested: what keeps the tree readable and no compiler or linter sees. Reads sources, starts nothing.
// Paths are below the root. The order of the rooms is told in CONTRIBUTING.md.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { posix, resolve } from "node:path";
import { test } from "node:test";
import { build } from "esbuild";

const root = resolve(import.meta.dirname, "..");

/** From the bottom up: a room imports rooms of the floors below it, never one beside or above it. */
const floors = [
  ["events", "client"],
  ["authoring"],
  ["contracts", "broker"],
  ["pipeline"],
  ["projections"],
  ["modules"],
  ["http", "observe", "testing"],
  ["host"],
  ["cli"],
];
const rooms = floors.flat();

/** The harness and isolated threads run the pipeline's pure stages. Its door would load the NATS client into the tests
 * of every author, and into every thread. */
const sideDoors: Readonly<Record<string, readonly string[]>> = {
  modules: ["effect", "fold", "handle"].map((stage) => `runtime/pipeline/${stage}.ts`),
  testing: ["expiry", "fold", "handle", "held/states", "retry/backoff"].map(
    (stage) => `runtime/pipeline/${stage}.ts`,
  ),
};

/** What the repository consists of, and what it makes and git does not see. */
const topLevel = {
  folders: ["bench", "config", "docs", "handlers", "runtime", "tests", "dist", "node_modules"],
  files: [
    ...["CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "README.md", "biome.json"],
    ...["package-lock.json", "package.json", "tsconfig.json"],
  ],
};

const files = ["runtime", "handlers", "tests", "bench"].flatMap((folder) =>
  readdirSync(resolve(root, folder), { recursive: true, encoding: "utf8" })
    .map((name) => posix.join(folder, name.replaceAll("\\", "/")))
    .filter((path) => /\.[jt]s$/.test(path) && !/\/(?:fixtures|node_modules)\//.test(path)),
);
const sources = new Map(files.map((path) => [path, readFileSync(resolve(root, path), "utf8")]));
const isTest = (path: string) => /\.test\.ts$|\/support\//.test(path);
const runtimeFiles = files.filter((path) => path.startsWith("runtime/") && !isTest(path));

interface Import {
  readonly from: string;
  /** A file of the repository, or the name of a package. */
  readonly to: string;
  /** "all" where it takes the whole module. */
  readonly names: readonly string[] | "all";
}

const imports = files.flatMap(importsOf);

function importsOf(from: string): Import[] {
  const text = sources.get(from) ?? "";
  const found: Import[] = [];
  const add = (specifier: string, names: Import["names"]) => {
    const to = specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : specifier;
    found.push({ from, to, names });
  };
  const clauses = /^(?:import|export)(?: type)? (?:(\*[^"{]*)|\{([^}]*)\}) from "([^"]+)"/gm;
  for (const [, star, names = "", specifier = ""] of text.matchAll(clauses)) {
    add(specifier, star === undefined ? listed(names).map(({ name }) => name) : "all");
  }
  for (const [, specifier = ""] of text.matchAll(/\bimport\("(\.[^"]+)"\)/g)) add(specifier, "all");
  return found.filter(({ to }) => !to.includes("/") || sources.has(to) || !/\.[jt]s$/.test(to));
}

/** `{ a, type b as c }`: what it takes, and what that is called from then on. */
function listed(clause: string): { name: string; as: string }[] {
  const entries = clause.split(",").map((entry) => entry.trim().replace(/^type /, ""));
  return entries.filter(Boolean).map((entry) => {
    const [name = "", as = name] = entry.split(" as ");
    return { name, as };
  });
}

/** What each file exports, types aside: as esbuild reads it. */
async function valuesExported(): Promise<Map<string, readonly string[]>> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: files,
    outbase: root,
    outdir: root,
    outExtension: { ".js": ".out" },
    bundle: false,
    write: false,
    metafile: true,
    format: "esm",
  });
  const outputs = Object.values(metafile.outputs);
  return new Map(outputs.map((output) => [output.entryPoint ?? "", output.exports]));
}

/** Exported types that their own file does not mention again: no exported signature needs them. */
function typesExported(path: string): string[] {
  const text = sources.get(path) ?? "";
  return [...text.matchAll(/^export (?:interface|type) (\w+)/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => text.split(new RegExp(`\\b${name}\\b`)).length === 2);
}

const roomOf = (path: string) => /^runtime\/(\w+)\//.exec(path)?.[1];
const floorOf = (room: string) => floors.findIndex((floor) => floor.includes(room));
const doorIn = (folder: string) => posix.join(folder, "index.ts");

/** The door through which a file is reached: of the innermost folder that has one. */
function doorTo(path: string): string {
  let folder = posix.dirname(path);
  while (folder !== "runtime" && !sources.has(doorIn(folder))) folder = posix.dirname(folder);
  return doorIn(folder);
}

/** Doors, and what `eddy` starts. */
const isEntry = (path: string) => /\/index\.ts$|^runtime\/cli\/main\.ts$/.test(path);

/** Lists what breaks a rule, so that one run shows all of it. */
function assertNone(found: Iterable<string>, rule: string): void {
  const list = [...new Set(found)];
  assert.equal(list.length, 0, `${rule}:\n  ${list.join("\n  ")}`);
}

test("every folder of runtime/ is a room with a floor, and has a door that lists by name", () => {
  const folders = readdirSync(resolve(root, "runtime"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
  assert.deepEqual(folders.sort(), rooms.toSorted());
  // Nobody is above the command line, it needs none.
  const missing = rooms.filter(
    (room) => room !== "cli" && !sources.has(`runtime/${room}/index.ts`),
  );
  assertNone(missing, "rooms without index.ts");
  const open = files.filter((path) => /^export \*/m.test(sources.get(path) ?? ""));
  assertNone(open, "doors are wide open (export *)");
});

test("rooms import only from floors below", () => {
  const wrong = imports.filter(({ from, to }) => {
    const [above, below] = [roomOf(from), roomOf(to)];
    if (below === undefined || above === below) return false;
    if (above === undefined) return from === "runtime/index.ts" && floorOf(below) > 1;
    return floorOf(above) <= floorOf(below);
  });
  assertNone(wrong.map(show), "imports that go up or sideways");
});

test("rooms are entered through their doors", () => {
  const wrong = imports.filter(({ from, to }) => {
    if (roomOf(from) === undefined || roomOf(to) === undefined) return false;
    if (sideDoors[roomOf(from) ?? ""]?.includes(to)) return false;
    const door = doorTo(to);
    return to !== door && !from.startsWith(`${posix.dirname(door)}/`);
  });
  assertNone(wrong.map(show), "imports past a door");
});

test("the public door is for handlers and for those who hand it to them", () => {
  const wrong = imports.filter(({ from, to }) => {
    return to === "runtime/index.ts" && !from.startsWith("runtime/modules/");
  });
  assertNone(wrong.map(show), "inside, import the room itself");
  const escapes = imports.filter(({ from, to }) => {
    return from.startsWith("handlers/") && /^(runtime|tests)\//.test(to);
  });
  assertNone(escapes.map(show), 'handlers import "eddyline" and nothing else of the runtime');
});

test("the runtime does not import tests", () => {
  const wrong = imports.filter(({ from, to }) => {
    return runtimeFiles.includes(from) && (to.startsWith("tests/") || isTest(to));
  });
  assertNone(wrong.map(show), "a test is needed to run");
});

test("the lint rules say the same about rooms as this file", () => {
  const text = readFileSync(resolve(root, "runtime/biome.jsonc"), "utf8");
  const { overrides } = JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, ""));
  const groups: Record<string, string[]> = {};
  for (const { includes, linter } of overrides) {
    const rule = linter.rules.style?.noRestrictedImports;
    if (rule) groups[String(includes).replace("/**", "")] = rule.options.patterns[0].group;
  }
  const several = (names: readonly string[]) =>
    names.length === 1 ? `${names}` : `{${names.join(",")}}`;
  const expected = rooms.map((room): [string, string[]] => {
    const below = floors.slice(0, floorOf(room)).flat();
    const group = [`**/${several(rooms)}/**`];
    if (below.length > 0) group.push(`!**/${several(below)}/index.ts`);
    if (room === "cli") group.push("!**/broker/local/index.ts");
    for (const path of sideDoors[room] ?? []) group.push(`!${path.replace("runtime", "**")}`);
    return [room, group];
  });
  assert.deepEqual(groups, Object.fromEntries(expected));
});

test("what is exported is imported somewhere", async () => {
  const used = new Set<string>();
  for (const { to, names } of imports) {
    if (names === "all") used.add(to);
    else for (const name of names) used.add(`${to} ${name}`);
  }
  const values = await valuesExported();
  const dead = files
    .filter((path) => !path.startsWith("handlers/") && !used.has(path) && !isEntry(path))
    .flatMap((path) =>
      [...(values.get(path) ?? []), ...typesExported(path)].map((name) => `${path} ${name}`),
    )
    .filter((name) => !used.has(name));
  assertNone(dead, "exported, and imported nowhere");
});

test("nothing is left over: only, todo, a skip without a condition", () => {
  const leftover = /\b(?:test|describe|it)\.(?:only|todo|skip)\(|\b(?:only|todo|skip): (?:true|")/;
  const tests = files.filter((path) => path.endsWith(".test.ts"));
  assertNone(
    tests.filter((path) => leftover.test(sources.get(path) ?? "")),
    "leftovers",
  );
});

test("the compiler is not talked out of anything", () => {
  const trick = /\bas any\b|\bas unknown as\b|^\s*(?:\/\/|\/\*) *@ts-/m;
  const wrong = runtimeFiles.filter((path) => trick.test(sources.get(path) ?? ""));
  assertNone(wrong, "casts and comments that switch checks off");
});

test("every file of the runtime begins with what it is", () => {
  const mute = runtimeFiles.filter((path) => !/^(#!.*\n)?\/\/ \S/.test(sources.get(path) ?? ""));
  assertNone(mute, "no comment at the head");
});

test("docs/errors.md explains every code of the runtime once, and no other", () => {
  const used = new Set<string>();
  for (const path of runtimeFiles) {
    const text = sources.get(path) ?? "";
    for (const [, code = ""] of text.matchAll(/"(EDDY_[A-Z_]+)"/g)) used.add(code);
  }
  used.delete("EDDY_CACHE"); // a variable
  const docs = readFileSync(resolve(root, "docs/errors.md"), "utf8");
  const rows = [...docs.matchAll(/^\| `(EDDY_[A-Z_]+)` *\|/gm)].map(([, code = ""]) => code);
  assertNone(
    rows.filter((code, n) => rows.indexOf(code) !== n),
    "explained twice",
  );
  assertNone(
    [...used].filter((code) => !rows.includes(code)),
    "not explained in docs/errors.md",
  );
  assertNone(
    rows.filter((code) => !used.has(code)),
    "explained, but thrown nowhere",
  );
});

test("the top level holds what README and CONTRIBUTING speak of, and nothing else", () => {
  const strange = readdirSync(root, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith(".") && !entry.name.endsWith(".log"))
    .filter((entry) => {
      return !topLevel[entry.isDirectory() ? "folders" : "files"].includes(entry.name);
    });
  assertNone(
    strange.map(({ name }) => name),
    "files and folders that belong elsewhere",
  );
});

test("nothing names a package registry or the place where it was written", () => {
  const foreign = /registry\.(?:npmjs|yarnpkg)|npmmirror|issue #\d|\/work\/|\.\.\/shared\//i;
  const texts = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "Dockerfile", "package.json"];
  texts.push("package-lock.json", ".ci/run");
  for (const folder of ["docs", "config"]) {
    const names = readdirSync(resolve(root, folder), { recursive: true, encoding: "utf8" });
    texts.push(...names.filter((name) => /\.\w+$/.test(name)).map((name) => `${folder}/${name}`));
  }
  const present = [...files, ...texts].filter((path) => existsSync(resolve(root, path)));
  const naming = present.filter((path) =>
    foreign.test(sources.get(path) ?? readFileSync(resolve(root, path), "utf8")),
  );
  assertNone(
    naming.filter((path) => path !== "tests/house.test.ts"),
    "names from elsewhere",
  );
});

function show({ from, to }: Import): string {
  return `${from} imports ${to}`;
}
