import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { EddyError } from "../../events/index.ts";
import { findNatsServer } from "./find.ts";

// The binaries are scripts that only tell a version; the search reads this process's own environment.
const root = await mkdtemp(join(tmpdir(), "eddy-find-"));
const unwritable = join(root, "a-file");
await writeFile(unwritable, "");
after(() => rm(root, { recursive: true, force: true }));

beforeEach(() => {
  delete process.env.NATS_SERVER_BIN;
  process.env.PATH = join(root, "empty");
  process.env.EDDY_CACHE = join(unwritable, "cache"); // so that nothing is ever fetched here
});

async function binary(folder: string, output: string, name = "nats-server"): Promise<string> {
  await mkdir(join(root, folder), { recursive: true });
  const path = join(root, folder, name);
  await writeFile(path, `#!/bin/sh\necho "${output}"\n`, { mode: 0o755 });
  return path;
}

async function search() {
  const said: string[] = [];
  const result = await findNatsServer({ onProgress: (line) => said.push(line) }).catch(
    (error: unknown) => {
      if (error instanceof EddyError) return error;
      throw error;
    },
  );
  return { result, said: said.join("\n") };
}

test("NATS_SERVER_BIN goes before the PATH, the PATH before the cache, and the choice is said", async () => {
  const inCache = `nats-server-2.15.3-${process.platform}-${process.arch}`;
  const cached = await binary("cache", "nats-server: v2.15.3", inCache);
  process.env.EDDY_CACHE = join(root, "cache");
  assert.deepEqual((await search()).result, { path: cached, version: "2.15.3", origin: "cache" });

  const onPath = await binary("bin", "nats-server: v2.15.2");
  process.env.PATH = join(root, "bin");
  assert.deepEqual((await search()).result, { path: onPath, version: "2.15.2", origin: "path" });

  process.env.NATS_SERVER_BIN = await binary("chosen", "nats-server: v2.15.1");
  const { result, said } = await search();
  assert.deepEqual(result, {
    path: process.env.NATS_SERVER_BIN,
    version: "2.15.1",
    origin: "env",
  });
  assert.equal(said, `nats-server 2.15.1 from NATS_SERVER_BIN: ${process.env.NATS_SERVER_BIN}`);
});

test("F2: one that is too old or broken is named, and the next place is tried", async () => {
  const old = await binary("old", "nats-server: v2.10.29");
  const broken = await binary("broken", "hello");
  const good = await binary("good", "nats-server: v2.15.1");
  process.env.PATH = ["old", "broken", "good"].map((name) => join(root, name)).join(":");
  const { result, said } = await search();
  assert.ok(!(result instanceof EddyError) && result.path === good);
  assert.ok(said.includes(`${old}: nats-server 2.10.29 is too old`), said);
  assert.ok(said.includes(`${broken}: --version answered "hello"`), said);
});

test("a server between the minimum and the supported version is taken, with a warning", async () => {
  await binary("weaker", "nats-server: v2.14.4");
  process.env.PATH = join(root, "weaker");
  const { result, said } = await search();
  assert.ok(!(result instanceof EddyError));
  assert.match(result.warning ?? "", /2\.14\.4 works, but 2\.15\.1.*power cut/);
  assert.match(said, /warning: /);
});

test("F2: a NATS_SERVER_BIN that is too old or cannot be run is an error, although the PATH has one", async () => {
  await binary("good", "nats-server: v2.15.1");
  process.env.PATH = join(root, "good");
  process.env.NATS_SERVER_BIN = await binary("old", "nats-server: v2.12.3");
  const tooOld = (await search()).result;
  assert.ok(tooOld instanceof EddyError && tooOld.code === "EDDY_NATS_SERVER_TOO_OLD");
  assert.match(
    tooOld.message,
    /NATS_SERVER_BIN is .*2\.12\.3 is too old: 2\.15\.1 or newer is needed/,
  );

  process.env.NATS_SERVER_BIN = join(root, "nowhere");
  const missing = (await search()).result;
  assert.ok(missing instanceof EddyError && missing.code === "EDDY_NATS_SERVER_MISSING");
  assert.match(missing.message, /nowhere: it cannot be run \(.*ENOENT/);
});

test("when every way fails, one error tells all that was tried and what to do", async () => {
  await binary("old", "nats-server: v2.10.29");
  process.env.PATH = join(root, "old");
  const { result } = await search();
  assert.ok(result instanceof EddyError && result.code === "EDDY_NATS_SERVER_MISSING");
  for (const part of [
    "NATS_SERVER_BIN: not set",
    "2.10.29 is too old",
    "the cache",
    "a fetch into",
    "put it on the PATH, or set NATS_SERVER_BIN",
  ]) {
    assert.ok(result.message.includes(part), `${part} is missing in: ${result.message}`);
  }
});
