import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { eventually } from "./eventually.ts";
import { startNats } from "./nats.ts";

test("N1: servers side by side have their own ports and stores, and the config that was asked for", async () => {
  await using one = await startNats({ maxPayload: 65_536 });
  await using two = await startNats({ sync: "default" });
  assert.notEqual(one.port, two.port);
  const [first, second] = [await one.connect(), await two.connect()];
  assert.equal(first.info?.max_payload, 65_536);
  const manager = await jetstreamManager(first);
  await manager.streams.add({ name: "A", subjects: ["a"] });
  assert.equal((await manager.getAccountInfo()).streams, 1);
  assert.equal((await (await jetstreamManager(second)).getAccountInfo()).streams, 0);
});

test("N2: at the scope's end server, store and connections are gone", async () => {
  const { pid, storeDir, closed } = await (async () => {
    await using nats = await startNats();
    const connection = await nats.connect();
    assert.ok(existsSync(nats.storeDir) && isAlive(nats.pid));
    return { pid: nats.pid, storeDir: nats.storeDir, closed: connection.closed() };
  })();
  await closed;
  assert.equal(existsSync(storeDir), false);
  assert.equal(isAlive(pid), false);
});

test("N3: what was stored is there after kill, stop and restart, on the same port", async () => {
  await using nats = await startNats();
  const before = { url: nats.url, pid: nats.pid };
  await (await jetstreamManager(await nats.connect())).streams.add({ name: "A", subjects: ["a"] });
  for (const end of [() => nats.kill(), () => nats.stop(), () => nats.stop("SIGINT")]) {
    await jetstream(await nats.connect()).publish("a");
    await end();
    assert.equal(isAlive(nats.pid), false);
    await nats.restart();
  }
  assert.equal((await jetstream(await nats.connect()).publish("a")).seq, 4);
  assert.equal(nats.url, before.url);
  assert.notEqual(nats.pid, before.pid);
});

test("N2: a test process that is killed leaves no server and no store behind", async () => {
  const script = `
    import { startNats } from "./tests/support/nats.ts";
    const nats = await startNats();
    console.log(JSON.stringify({ pid: nats.pid, storeDir: nats.storeDir }));
  `;
  const args = ["--import", "tsx", "--input-type=module", "-e", script];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve) =>
    createInterface(child.stdout).once("line", resolve),
  );
  const { pid, storeDir } = JSON.parse(line) as { pid: number; storeDir: string };
  assert.ok(isAlive(pid) && existsSync(storeDir));
  child.kill("SIGKILL");
  await eventually(() => !isAlive(pid) && !existsSync(storeDir), { what: "the clean-up" });
});

/** A process that ended, but that nobody has waited for (a container without init), is not alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT" && hasNoProc;
  }
}
const hasNoProc = !existsSync("/proc/self/status");
