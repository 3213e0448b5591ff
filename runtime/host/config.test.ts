import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { stringify } from "yaml";
import { loadConfig } from "./config.ts";
import { configWarnings } from "./config-env.ts";
import { parseConfigFile } from "./config-file.ts";
import { keyPaths, variableOf } from "./config-keys.ts";
import { ConfigError, type ConfigProblem } from "./config-problems.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-config-"));
after(() => rmSync(folder, { recursive: true }));

function fileOf(text: string, name = "eddy.yaml"): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

const empty = fileOf("", "empty.yaml");
const shipped = new URL("../../config/eddy.yaml", import.meta.url).pathname;

function problemsOf(text: string, env: Record<string, string> = {}): readonly ConfigProblem[] {
  return problemsOfFile(fileOf(text), env);
}

function problemsOfFile(file: string, env: Record<string, string>): readonly ConfigProblem[] {
  try {
    loadConfig({ file, env });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    assert.equal(error.code, "EDDY_CONFIG");
    for (const { message } of error.problems) assert.ok(error.message.includes(message));
    return error.problems;
  }
  return [];
}

test("the shipped file holds every key, and its values are the defaults", () => {
  const text = readFileSync(shipped, "utf8");
  assert.deepEqual(loadConfig({ file: shipped, env: {} }), loadConfig({ file: empty, env: {} }));
  const everything = parseConfigFile(shipped, text.replace(/^( *)# ( *\w+:(?: \S.*)?)$/gm, "$1$2"));
  assert.deepEqual(everything.problems, []);
  assert.deepEqual([...everything.given.keys()].sort(), [...keyPaths].sort());
});

test("a file that was named must exist", () => {
  const missing = join(folder, "none.yaml");
  const problem = { file: missing, message: "there is no such file" };
  assert.deepEqual(problemsOfFile(missing, {}), [problem]);
});

test("the environment wins over the file, the file over the default", () => {
  const config = loadConfig({
    file: fileOf("app: shop\nhttp: { port: 1, maxBodyBytes: 2MiB }\nretry: { delays: [1s, 250] }"),
    env: {
      EDDY_HTTP_PORT: "0",
      EDDY_NATS_SERVERS: "nats://a:4222, tls://b",
      EDDY_HOME_MAX_BYTES: "1.5GiB",
      EDDY_WEBHOOKS_GITHUB_SECRET: "12345",
      EDDY_HANDLERS: "",
    },
  });
  assert.equal(config.app, "shop");
  assert.deepEqual(config.http, { host: "127.0.0.1", port: 0, maxBodyBytes: 2 ** 21, origins: [] });
  assert.deepEqual(config.nats.servers, ["nats://a:4222", "tls://b"]);
  assert.equal(config.home.maxBytes, 1.5 * 2 ** 30);
  assert.deepEqual(config.retry.delaysMs, [1000, 250]);
  assert.equal(config.webhooks.github.secret, "12345");
  assert.equal(config.handlers, "./handlers");
});

test("a variable's name is made from the key's path", () => {
  assert.equal(variableOf("nats.servers"), "EDDY_NATS_SERVERS");
  assert.equal(variableOf("home.maxBytes"), "EDDY_HOME_MAX_BYTES");
  assert.equal(variableOf("handlers"), "EDDY_HANDLERS");
  assert.equal(new Set(keyPaths.map(variableOf)).size, keyPaths.length);
});

const wrong: [text: string, line: number | undefined, message: RegExp][] = [
  ["\nhttp:\n  prt: 1", 3, /http\.prt is no key\. Did you mean http\.port\? .*: host, port/],
  ["nonsense: 1", 1, /nonsense is no key\. The keys are: app, handlers/],
  ["nats: { tls: { __proto__: 1 } }", 1, /nats\.tls\.__proto__ is no key/],
  ["http: { port: eighty }", 1, /http\.port must be a whole number from 0 to 65535, got "eighty"/],
  ["http: { port: 65536 }", 1, /got 65536/],
  ["http: { port: 80.5 }", 1, /got 80\.5/],
  ["http: 8080", 1, /http must hold keys of its own: host, port, maxBodyBytes, origins/],
  ["app: a b", 1, /app must be 1 to 32 of A-Z a-z 0-9 _ -, got "a b"/],
  ["app: 7", 1, /got 7/],
  ["log:\n  level: warning", 2, /log\.level must be one of debug, info, warn, error, silent/],
  ["deadline: soon", 1, /deadline must be a duration from 1ms to 1h, such as "30s"/],
  ["deadline: 2h", 1, /got "2h"/],
  ["home: { maxBytes: -1 }", 1, /home\.maxBytes must be a size from 1MiB/],
  ["home: { maxBytes: 1 GiBi }", 1, /got "1 GiBi"/],
  ["retry:\n  delays:\n    - 1s\n    - [2s]", 3, /got \["1s",\["2s"\]\]/],
  ["retry: { jitter: 2 }", 1, /a number from 0 to 1, got 2/],
  ["nats: { servers: [] }", 1, /nats\.servers must be a list of servers/],
  ["nats: { servers: 'nats://a:4222' }", 1, /must be a list of servers/],
  ["nats: { servers: ['http://a'] }", 1, /schemes: nats tls/],
  ["nats: { user: u, password: p, token: t }", undefined, /nats\.user and nats\.token exclude/],
  ["nats: { user: u }", undefined, /go together/],
  ["nats: { tls: { cert: c.pem } }", undefined, /nats\.tls\.cert and nats\.tls\.key go together/],
  ["- a\n- b", 1, /must hold keys/],
  ["app: [", 1, /not YAML/],
  ["app: a\napp: b", 2, /not YAML: Map keys must be unique/],
];

for (const [text, line, message] of wrong) {
  test(`a wrong file is refused with key and line: ${JSON.stringify(text)}`, () => {
    const problems = problemsOf(text);
    const found = problems.find((problem) => message.test(problem.message));
    assert.ok(found, JSON.stringify(problems));
    assert.equal(found.line, line);
  });
}

test("everything that is wrong is told at once, and a wrong variable by its name", () => {
  const problems = problemsOf("ap: x\nhttp: { port: x }\ndrain: y", { EDDY_LOG_FORMAT: "xml" });
  assert.deepEqual(
    problems.map(({ key, line, variable }) => [key, line ?? variable]),
    [
      ["ap", 1],
      ["http.port", 2],
      ["drain", 3],
      ["log.format", "EDDY_LOG_FORMAT"],
    ],
  );
});

test("secrets are never shown", () => {
  const text = "nats: { password: [hush], servers: ['nats://me:hush@host'] }";
  assert.ok(!JSON.stringify(problemsOf(text)).includes("hush"));
});

test("sections whose keys are all commented out are empty, not wrong", () => {
  assert.deepEqual(problemsOf("nats:\n  # servers: []\nwebhooks:\n  github:\napp:"), []);
});

test("an unknown EDDY_ variable is a warning that names the nearest one", () => {
  assert.deepEqual(
    configWarnings({ EDDY_CONFIG: "x", EDDY_CACHE: "y", EDDY_APP: "z", HOME: "" }),
    [],
  );
  assert.deepEqual(configWarnings({ EDDY_HTTPPORT: "1" }), [
    "the environment variable EDDY_HTTPPORT belongs to no key and does nothing. Did you mean EDDY_HTTP_PORT?",
  ]);
});

test("any values give a configuration or problems, never another error", () => {
  const value = fc.oneof(fc.jsonValue(), fc.constantFrom("1s", "5MiB", "nats://a", 0, -1, 1e99));
  const record = fc.dictionary(fc.constantFrom(...keyPaths, "x", "nats"), value);
  fc.assert(
    fc.property(record, fc.string(), (flat, junk) => {
      const nested: Record<string, unknown> = {};
      for (const [path, given] of Object.entries(flat)) {
        const [section = "", key] = path.split(".");
        nested[section] = key === undefined ? given : { [key]: given };
      }
      problemsOf(stringify(nested));
      problemsOf(junk);
    }),
    { numRuns: 100 },
  );
});

test("folders: settings of modules, from the file or as one variable; whatever is wrong is named with its line", () => {
  const settings = { isolation: "thread", memoryBytes: 64 * 2 ** 20 };
  const text = "folders:\n  github:\n    isolation: thread\n    memory: 64MiB\n  audit.ts:\n";
  assert.deepEqual(loadConfig({ file: fileOf(text), env: {} }).folders, {
    github: settings,
    "audit.ts": { isolation: "inline", memoryBytes: 128 * 2 ** 20 },
  });
  const EDDY_FOLDERS = '{"orders": {"isolation": "thread", "memory": "64MiB"}}';
  const given = loadConfig({ file: fileOf(text), env: { EDDY_FOLDERS } });
  assert.deepEqual(given.folders, { orders: settings });

  const wrong =
    "folders:\n  github:\n    isolation: proces\n    memory: 1MiB\n    memry: 1\n  orders: 7\n";
  const problems = problemsOf(wrong).map(({ line, key, message }) => [line, key, message]);
  assert.deepEqual(problems, [
    [
      3,
      "folders.github.isolation",
      'folders.github.isolation must be one of inline, thread, got "proces"',
    ],
    [
      4,
      "folders.github.memory",
      'folders.github.memory must be a size from 32MiB to 64GiB, such as "128MiB" (units: B KB MB GB TB KiB MiB GiB TiB), got "1MiB"',
    ],
    [
      5,
      "folders.github.memry",
      "folders.github.memry is no key. Did you mean memory? The keys are: isolation, memory",
    ],
    [6, "folders.orders", "folders.orders must hold keys of its own: isolation, memory"],
  ]);
  const [problem] = problemsOf("", { EDDY_FOLDERS: "github" });
  assert.equal(problem?.variable, "EDDY_FOLDERS");
  assert.match(problem?.message ?? "", /must hold modules with their settings/);
});
