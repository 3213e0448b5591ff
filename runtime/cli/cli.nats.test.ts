import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "../../tests/support/eventually.ts";
import { launcher } from "../../tests/support/launcher.ts";

const eddy = fileURLToPath(new URL("./eddy.js", import.meta.url));
const built = await launcher(); // compiling the sources on the fly costs each start two seconds
const folder = mkdtempSync(join(tmpdir(), "eddy-dev-"));
const children: ChildProcess[] = [];
after(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; out: string; err: string }>;
  out(): string;
}

function start(program: string, ...args: string[]): Running {
  const foreign = Object.entries(process.env).filter(([name]) => !/^(EDDY_|NODE_TEST)/.test(name));
  const cache = process.env.EDDY_CACHE === undefined ? {} : { EDDY_CACHE: process.env.EDDY_CACHE };
  const env = { ...Object.fromEntries(foreign), ...cache, EDDY_HTTP_PORT: "0" };
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, env });
  children.push(child);
  endWithUs(child);
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => (out += chunk));
  child.stderr.on("data", (chunk) => (err += chunk));
  const ended = new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
    child.on("close", (code) => resolve({ code, out, err }));
  });
  return { child, ended, out: () => out + err };
}

/** It ends with this process, also when that is killed: a shell waits for the end of a pipe of ours. */
function endWithUs(child: ChildProcess): void {
  const script = 'while read -r _; do :; done; kill -KILL "$0"';
  const stdio = ["pipe", "ignore", "ignore"] as const;
  const guard = spawn("sh", ["-c", script, String(child.pid)], { stdio: [...stdio] });
  child.on("close", () => guard.kill("SIGKILL"));
}

function cli(...args: string[]) {
  return start(built, ...args).ended;
}

async function json(...args: string[]) {
  const { code, out, err } = await cli(...args, "--json");
  assert.equal(code, 0, out + err);
  return JSON.parse(out);
}

/** Asks until the answer is right; fails with the last one. */
async function until<T>(ask: () => T | Promise<T>, right: (answer: T) => boolean): Promise<T> {
  const settled = async () => {
    const answer = await ask();
    assert.ok(right(answer), `still: ${JSON.stringify(answer)}`);
    return { answer };
  };
  return (await eventually(settled, { timeoutMs: 60_000 })).answer;
}

test("a person's first hour: dev, emit, tail, handlers, projections, dead letters, and Ctrl-C", async (t) => {
  await start(eddy, "init", "handlers").ended;
  const dev = start(eddy, "dev");
  const early = dev.ended.then(({ out, err }) => assert.fail(`dev has ended: ${out}${err}`));
  await Promise.race([early, until(dev.out, (out) => out.includes("Eddyline runs."))]);
  early.catch(() => {}); // later it ends on purpose
  const tail = start(built, "tail", "--from", "first", "--json");
  const arrived = "com.example.visitor.arrived";

  await t.test("an event is stored once, and what follows from it is seen", async () => {
    const [first, second] = [
      await json("emit", arrived, '{"name":"Ada"}', "--id", "v-1", "--key", "Ada"),
      await json("emit", arrived, '{"name":"Ada"}', "--id", "v-1", "--key", "Ada"),
    ];
    assert.deepEqual(Object.keys(first), ["id", "source", "stream", "seq", "duplicate"]);
    assert.deepEqual([first.duplicate, second.duplicate, second.seq], [false, true, first.seq]);
    await until(tail.out, (out) => out.trim().split("\n").length >= 2);
    const [cause, effect] = tail
      .out()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual([cause.type, cause.source, cause.id], [arrived, "/eddy/cli", "v-1"]);
    assert.equal(effect.type, "com.example.visitor.greeted");
    assert.deepEqual(effect.data, { name: "Ada", greeting: "Hello, Ada" });
    assert.equal(effect.causationid, "v-1");
  });

  await t.test("handlers say what they did", async () => {
    const rows = await until(
      () => json("handlers"),
      (rows) => rows.length === 2 && rows.every((row: { handled: number }) => row.handled === 1),
    );
    const keys =
      "name kind file version state delivered handled duplicate filtered expired retrying dead lag";
    assert.deepEqual(Object.keys(rows[0]), keys.split(" "));
    const people = await cli("handlers");
    assert.match(people.out, /^NAME +KIND +VERSION +STATE .*DUPLICATE +FILTERED .*LAG\n/);
    assert.match(people.out, /^visits +projection /m);
  });

  await t.test("reconcile finds all accounted for, for a script and for people", async () => {
    const rows = await json("reconcile");
    assert.deepEqual(
      rows.map((row: { name: string; findings: unknown[] }) => [row.name, row.findings]),
      [
        ["greetings.greet", []],
        ["visits", []],
      ],
    );
    const people = await cli("reconcile", "greetings.greet");
    assert.equal(people.code, 0, people.out + people.err);
    assert.match(people.out, /^NAME +EVENTS .*\n.*\n\n.*All is accounted for/s);
    assert.equal((await cli("reconcile", "nobody")).code, 3);
  });

  await t.test("projections are listed and read; what does not exist ends in 3", async () => {
    const [visits] = await json("projection", "list");
    assert.deepEqual([visits?.name, visits?.entries], ["visits", 1]);
    assert.match(visits?.positions.join(" ") ?? "", /^EVENTS:\d+$/);
    const entry = await cli("projection", "get", "visits", "Ada");
    assert.deepEqual(JSON.parse(entry.out), { name: "Ada", count: 1 });
    const keys = await json("projection", "get", "visits");
    assert.deepEqual(keys.keys, ["Ada"]);
    assert.equal((await cli("projection", "get", "visits", "Bob")).code, 3);
    assert.equal((await cli("projection", "get", "nowhere")).code, 3);
  });

  await t.test("a dead letter is listed, shown, given back and discarded", async () => {
    await json("emit", arrived, '{"name":7}', "--id", "v-2");
    const [letter] = await until(
      () => json("dead", "list"),
      (letters) => letters.length === 1,
    );
    const keys =
      "letter handler reason source id type key error attempts first last version origin";
    assert.deepEqual(Object.keys(letter), keys.split(" "));
    assert.deepEqual(Object.keys(letter.error), ["name", "message"]);
    assert.deepEqual(Object.keys(letter.origin), ["stream", "seq", "subject"]);
    assert.deepEqual([letter.reason, letter.id, letter.attempts], ["schema", "v-2", 0]);
    const page = await cli("dead", "show", String(letter.letter));
    assert.match(page.out, /data\.name|name must be/);
    assert.match(page.out, /\{"name":7\}/);

    const [replayed] = await json("dead", "replay", "--all");
    assert.deepEqual(replayed, { letter: letter.letter, result: "given back" });
    const [again] = await until(
      () => json("dead", "list"),
      ([found]) => found !== undefined && found.letter !== letter.letter,
    );
    assert.equal((await cli("dead", "show", String(letter.letter))).code, 3);
    assert.equal((await cli("dead", "discard", String(again.letter))).code, 0);
    assert.deepEqual(await json("dead", "list"), []);
    assert.equal((await cli("reconcile")).code, 0);
  });

  await t.test("Ctrl-C ends tail and dev in 0, and nothing stays behind", async () => {
    tail.child.kill("SIGINT");
    assert.equal((await tail.ended).code, 0);
    dev.child.kill("SIGINT");
    const { code, out, err } = await dev.ended;
    assert.equal(code, 0, out + err);
    assert.ok(!existsSync(join(folder, ".eddy/dev.json")));
  });
});
