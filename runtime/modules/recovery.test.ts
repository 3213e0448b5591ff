import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { loadModules } from "./index.ts";
import { reaction, testFolder } from "./support/folder.ts";

test("where esbuild's process is killed, the next look compiles with another one", async (t) => {
  await using folder = await testFolder({ "a.ts": reaction(1) });
  assert.deepEqual((await loadModules(folder.path)).failures, []);
  const pids = await esbuildProcesses();
  if (pids.length === 0) return t.skip("no /proc to find esbuild's process in");
  for (const pid of pids) process.kill(pid, "SIGKILL");
  const deadline = Date.now() + 5_000;
  for (;;) {
    const { failures, handlers } = await loadModules(folder.path);
    if (handlers.length === 1) return;
    assert(Date.now() < deadline, JSON.stringify(failures));
  }
});

async function esbuildProcesses(): Promise<number[]> {
  const self = `/proc/self/task/${process.pid}/children`;
  const children = (await readFile(self, "utf8").catch(() => "")).split(" ").filter(Boolean);
  const found: number[] = [];
  for (const pid of children) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes("--service=")) found.push(Number(pid));
  }
  return found;
}
