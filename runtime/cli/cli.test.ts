import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const eddy = fileURLToPath(new URL("./eddy.js", import.meta.url));
const tsc = fileURLToPath(new URL("../../node_modules/.bin/tsc", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "eddy-cli-"));
after(() => rmSync(folder, { recursive: true }));

const trace = /^\s+at |bug in eddy/m;

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a program in the test's folder, with none of the caller's EDDY_ variables. */
function run(
  file: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  const foreign = Object.entries(process.env).filter(([name]) => !/^(EDDY_|NODE_TEST)/.test(name));
  return new Promise((resolve) => {
    const options = { cwd: folder, env: { ...Object.fromEntries(foreign), ...env } };
    execFile(file, args, options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      assert.doesNotMatch(err, trace);
      resolve({ code, out, err });
    });
  });
}

function cli(args: string, env: Record<string, string> = {}): Promise<Ended> {
  return run(process.execPath, [eddy, ...args.split(" ").filter((arg) => arg !== "")], env);
}

/** Many command lines in one process: each start costs more than what is tested. */
async function cliAll(lines: readonly string[]): Promise<Ended[]> {
  const script = `
    import { main } from ${JSON.stringify(new URL("./main.ts", import.meta.url).href)};
    const print = process.stdout.write.bind(process.stdout);
    const ended = [];
    for (const line of ${JSON.stringify(lines)}) {
      const one = { code: 0, out: "", err: "" };
      process.exitCode = 0;
      process.stdout.write = (text) => (one.out += text) !== "";
      process.stderr.write = (text) => (one.err += text) !== "";
      await main(line.split(" ").filter((arg) => arg !== ""));
      ended.push({ ...one, code: process.exitCode });
    }
    process.exitCode = 0;
    print(JSON.stringify(ended));`;
  const tsx = fileURLToPath(import.meta.resolve("tsx"));
  const args = ["--import", tsx, "--input-type=module", "--eval", script];
  const { code, out, err } = await run(process.execPath, args);
  assert.equal(code, 0, err);
  const ended: Ended[] = JSON.parse(out);
  for (const { err } of ended) assert.doesNotMatch(err, trace);
  return ended;
}

test("--help lists the commands, and each command has examples", async () => {
  const names =
    "init dev start emit tail handlers reconcile projection dead lanes replay check test".split(
      " ",
    );
  const groups =
    "projection list,projection get,projection watch,projection diff,projection rebuild,dead list,dead show,dead replay,dead discard";
  const leaves = names.filter((name) => name !== "projection" && name !== "dead");
  const lines = [...leaves, ...groups.split(",")];
  const [root, ...helps] = await cliAll(["--help", ...lines.map((line) => `${line} --help`)]);
  const listed = [...(root?.out ?? "").matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name);
  assert.deepEqual(listed.slice(0, names.length), names);
  for (const [n, { code, out }] of helps.entries()) {
    assert.equal(code, 0, lines[n]);
    assert.match(out, /Examples:\n {2}\$ .*eddy /, lines[n]);
  }
});

test("a wrong command line ends in 2 and says why", async () => {
  const wrong: [line: string, says: RegExp][] = [
    ["", /Usage: eddy/],
    ["check --frob", /unknown option '--frob'/],
    ["dead", /Usage: eddy dead/],
    ["dead show twelve", /a letter is a number from `eddy dead list`, got "twelve"/],
    ["dead replay", /name which letters/],
    ["dead replay 1 --all", /exactly one of these/],
    ["dead discard --all", /add --yes if you mean it/],
    ["emit", /missing required argument 'type'\nTry: eddy emit --help/],
    ["emit a.b --ext nonsense", /--ext must be name=value/],
    ["emit a.b @none.json", /the data cannot be read: .*none\.json/],
    ["tail --type a..b", /--type must be a type/],
    ["start --config none.yaml", /EDDY_CONFIG .*\n {2}none\.yaml: there is no such file/],
  ];
  const ended = await cliAll(wrong.map(([line]) => line));
  for (const [n, { code, err }] of ended.entries()) {
    const [line, says] = wrong[n] ?? ["", /never/];
    assert.match(err, says, line);
    assert.equal(code, 2, line);
  }
  const { code, err } = await cli("frob");
  assert.match(err, /unknown command 'frob'/);
  assert.equal(code, 2);
});

test("without a server a command says which one it tried and what to do, and ends in 1", async () => {
  const { code, err } = await cli("handlers --server nats://127.0.0.1:1");
  assert.equal(code, 1);
  assert.match(err, /^EDDY_NOT_CONNECTED {2}.*nats:\/\/127\.0\.0\.1:1.*eddy dev/);
});

test("init makes a folder whose types check and whose tests pass, and never overwrites", async () => {
  const first = await cli("init shop");
  assert.equal(first.code, 0, first.err);
  const types = await run(process.execPath, [tsc, "-p", "shop"]);
  assert.equal(types.code, 0, types.out);
  const tests = await cli("test shop");
  assert.equal(tests.code, 0, tests.out + tests.err);
  assert.match(tests.out, /pass 2/);
  const checked = await cli("check --json", { EDDY_HANDLERS: "shop" });
  assert.equal(checked.code, 0, checked.out + checked.err);

  writeFileSync(join(folder, "shop/greetings.ts"), "// mine\n");
  const again = await cli("init shop");
  assert.equal(again.code, 0);
  assert.match(again.out, /kept {2}shop\/greetings\.ts/);
  assert.equal(readFileSync(join(folder, "shop/greetings.ts"), "utf8"), "// mine\n");
});

test("a failing test of a handlers folder ends in 1, a folder without tests in 3", async () => {
  mkdirSync(join(folder, "failing"));
  const text =
    'import { test } from "node:test";\ntest("no", () => { throw new Error("expected"); });\n';
  writeFileSync(join(folder, "failing/a.test.ts"), text);
  const failing = await cli("test failing");
  assert.equal(failing.code, 1);
  assert.match(failing.out, /expected/);
  mkdirSync(join(folder, "untested"));
  assert.equal((await cli("test untested")).code, 3);
});

test("check names file, line and reason of a broken handler, for people and for scripts", async () => {
  mkdirSync(join(folder, "broken"));
  writeFileSync(
    join(folder, "broken/credit.ts"),
    'import { on } from "eddyline";\n\nexport const a = on(;\n',
  );
  const { code, out } = await cli("check", { EDDY_HANDLERS: "broken" });
  assert.equal(code, 1);
  assert.match(out, /^broken\/credit\.ts:3:\d+ {2}error: EDDY_HANDLER_COMPILE {2}\S/);
  assert.match(out, /3 │ export const a = on\(;/);
  const json = await cli("check --json", { EDDY_HANDLERS: "broken" });
  assert.equal(json.code, 1);
  const { ok, handlers, findings } = JSON.parse(json.out);
  assert.deepEqual([ok, handlers], [false, []]);
  assert.deepEqual(Object.keys(findings[0]), ["severity", "code", "file", "line", "message"]);
  assert.deepEqual(
    [findings[0].code, findings[0].file, findings[0].line],
    ["EDDY_HANDLER_COMPILE", "broken/credit.ts", 3],
  );
});

test("check warns of what events mix up, with code, file and page, and ends in 0", async () => {
  mkdirSync(join(folder, "mixed/scans"), { recursive: true });
  writeFileSync(
    join(folder, "mixed/scans/events.ts"),
    `import { event, Type } from "eddyline";
const Scan = Type.Object({ scanId: Type.String(), href: Type.String(), findings: Type.Array(Type.String()) });
export const Uploaded = event("com.acme.scan.uploaded", Scan, { carries: "reference" });
export const Changed = event("com.acme.scan.changed", Scan, { carries: "state" });
export const SendEmail = event("com.acme.send.email", Scan);
`,
  );
  writeFileSync(
    join(folder, "mixed/scans/view.ts"),
    `import { on, projection } from "eddyline";
import { Changed, SendEmail, Uploaded } from "./events.ts";
export const mail = on(Changed, { emits: [SendEmail] }, ({ data }, ctx) => ctx.emit(SendEmail, data));
export const scans = projection("scans", { from: [Uploaded], key: (e) => e.data.scanId, apply: (_, e) => e.data });
`,
  );
  const { code, out } = await cli("check", { EDDY_HANDLERS: "mixed" });
  assert.equal(code, 0);
  const line =
    /^mixed\/scans\/view\.ts {2}warning: EDDY_EVENT_IS_COMMAND {2}com\.acme\.send\.email .* See docs\/events\.md#eddy_event_is_command$/m;
  assert.match(out, line);
  assert.match(out, /^ok: 2 handlers, 5 warnings$/m);
  const json = await cli("check --json", { EDDY_HANDLERS: "mixed" });
  assert.equal(json.code, 0);
  const { ok, findings } = JSON.parse(json.out);
  assert.equal(ok, true);
  assert.deepEqual(
    findings.map(({ severity, code, file }: Record<string, unknown>) => [severity, code, file]),
    [
      "EDDY_EVENT_STATE_KEYLESS",
      "EDDY_EVENT_STATE_UNDELETABLE",
      "EDDY_EVENT_IS_COMMAND",
      "EDDY_EVENT_FAT_REFERENCE",
      "EDDY_PROJECTION_OF_REFERENCES",
    ].map((code) => ["warning", code, "mixed/scans/view.ts"]),
  );
});

test("check names file and line of a wrong key, warns about strange variables, and ends in 2", async () => {
  writeFileSync(join(folder, "wrong.yaml"), "app: eddy\nhttp:\n  prt: 1\n");
  const { code, out } = await cli("check --json -c wrong.yaml", { EDDY_HTTPPORT: "1" });
  assert.equal(code, 2);
  const { ok, findings } = JSON.parse(out);
  assert.equal(ok, false);
  assert.deepEqual(
    findings.map(({ severity, code, file, line }: Record<string, unknown>) => {
      return [severity, code, file, line];
    }),
    [
      ["error", "EDDY_CONFIG", "wrong.yaml", 3],
      ["warning", null, null, null],
    ],
  );
});
