// The image without a container engine: the Dockerfile's own steps in a folder, then its own command as
// its own user on that tree, which nobody may write to.
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { eventually } from "../support/eventually.ts";
import { guardFolder } from "../support/guard.ts";
import { startNats } from "../support/nats.ts";
import { build, type Image, parseDockerfile } from "./dockerfile.ts";

process.umask(0o022); // as in a container engine

test("the image starts as a user without rights on a read-only tree, takes events, and drains on SIGTERM", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "eddy-container-"));
  const remove = guardFolder(folder);
  t.after(async () => {
    await setWritable(folder, true);
    await remove();
  });
  const image = await build(
    parseDockerfile(await readFile("Dockerfile", "utf8")),
    process.cwd(),
    folder,
  );
  assert.deepEqual((await readdir(join(image.root, image.workdir))).sort(), [
    "config",
    "dist",
    "node_modules",
    "package.json",
  ]);
  const bin = await nodeForEveryone(folder);
  await setWritable(image.root, false);
  await using nats = await startNats();
  const port = await freePort();
  const env = {
    ...environmentOf(image, bin),
    EDDY_NATS_SERVERS: nats.url,
    EDDY_HTTP_PORT: String(port),
    EDDY_HTTP_HOST: "127.0.0.1",
  };
  const container = start(image, env);
  t.after(() => container.child.kill("SIGKILL"));
  const base = `http://127.0.0.1:${port}`;

  await container.eventually("readiness", async () => (await fetch(`${base}/readyz`)).ok);
  await assertUnprivileged(container.child, image);

  const response = await fetch(`${base}/events`, {
    method: "POST",
    headers: { "content-type": "application/cloudevents+json" },
    body: JSON.stringify({
      specversion: "1.0",
      id: "e1",
      source: "/container/test",
      type: "com.acme.container.tested",
      data: { ok: true },
    }),
  });
  assert.equal(response.status, 202);
  const stored = (await response.json()) as { events: { id: string; duplicate: boolean }[] };
  assert.deepEqual(
    stored.events.map(({ id, duplicate }) => ({ id, duplicate })),
    [{ id: "e1", duplicate: false }],
  );

  const [probe = "", ...probeArgs] = image.healthcheck;
  await promisify(execFile)(probe, probeArgs, { env });

  container.child.kill(image.stopSignal as NodeJS.Signals);
  assert.deepEqual(await container.exit, { code: 0, signal: null }, container.log());
  await assert.rejects(promisify(execFile)(probe, probeArgs, { env }), "no longer healthy");
});

function start(image: Image, env: Record<string, string>) {
  const [program = "", ...args] = image.command;
  const [uid, gid] = image.user.split(":").map(Number);
  assert.ok(uid && gid, `USER must be numbers and not root, it is ${image.user}`);
  const child = spawn(program, args, {
    cwd: join(image.root, image.workdir),
    env,
    stdio: ["ignore", "pipe", "pipe"],
    ...(isRoot ? { uid, gid } : {}),
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once("exit", (code, signal) => resolve({ code, signal })),
  );
  const log = () => `its output:\n${output}`;
  const ended = exit.then(({ code }) => assert.fail(`it ended with code ${code}; ${log()}`));
  ended.catch(() => {}); // an end is an error only while something is waited for
  return {
    child,
    exit,
    log,
    eventually: (what: string, fn: () => Promise<boolean>) =>
      Promise.race([eventually(fn, { what, timeoutMs: 20_000 }), ended]).catch((error: Error) => {
        throw new Error(`${error.message}; ${log()}`, { cause: error });
      }),
  };
}

const isRoot = process.getuid?.() === 0;

async function assertUnprivileged(child: ChildProcess, image: Image): Promise<void> {
  if (!isRoot) return;
  const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => undefined);
  if (status === undefined) return; // no /proc on this platform
  const [uid] = image.user.split(":");
  assert.match(status, new RegExp(`^Uid:\\s+${uid}\\s+${uid}`, "m"));
  assert.match(status, /^CapEff:\s+0+$/m);
}

/** Only what the image sets. Its absolute paths lie under its root here. */
function environmentOf(image: Image, bin: string): Record<string, string> {
  const entries = Object.entries(image.env).map(([name, value]) => [
    name,
    value.startsWith("/") ? join(image.root, value) : value,
  ]);
  return { ...Object.fromEntries(entries), PATH: bin };
}

// The tests' own node may lie in a home folder that the image's user cannot enter.
async function nodeForEveryone(folder: string): Promise<string> {
  const bin = join(folder, "bin");
  await mkdir(bin);
  await copyFile(process.execPath, join(bin, "node"));
  for (const path of [folder, bin, join(bin, "node")]) await chmod(path, 0o755);
  return bin;
}

async function setWritable(folder: string, writable: boolean): Promise<void> {
  await promisify(execFile)("chmod", ["-R", writable ? "u+w" : "a-w", folder]);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}
