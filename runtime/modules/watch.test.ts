import assert from "node:assert/strict";
import { mkdir, rename, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Handler } from "../authoring/index.ts";
import { type ModuleReport, watchModules } from "./index.ts";
import { reaction, reactionTo, type TestFolder, testFolder } from "./support/folder.ts";

/** Polling is far away, so what is seen in time was seen through events. */
const never = 600_000;

async function watched(folder: TestFolder, pollMs = never) {
  const swaps: unknown[][] = [];
  const reports: ModuleReport[] = [];
  const answer = ({ declaration: d }: Handler) =>
    d.kind === "reaction" ? Reflect.apply(d.run, undefined, []) : d.name;
  const watch = await watchModules({
    folder: folder.path,
    pollMs,
    onHandlers: (handlers) => void swaps.push(handlers.map(answer)),
    onReport: (report) => void reports.push(report),
  });
  return {
    swaps,
    reports,
    /** Until what runs gives these answers. */
    async answers(...expected: unknown[]): Promise<void> {
      await until(
        () => JSON.stringify(swaps.at(-1)) === JSON.stringify(expected),
        () => `want ${expected}, swaps: ${JSON.stringify(swaps)} ${JSON.stringify(reports)}`,
      );
    },
    [Symbol.asyncDispose]: () => watch.close(),
  };
}

async function until(holds: () => boolean, seen: () => string): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!holds()) {
    if (Date.now() > deadline) assert.fail(seen());
    await sleep(2);
  }
}

test("the first set is handed over before watching begins, also an empty one", async () => {
  await using empty = await testFolder({});
  await using nothing = await watched(empty);
  assert.deepEqual(nothing.swaps, [[]]);
  assert.equal(nothing.reports[0]?.kind, "folder");
  await using folder = await testFolder({ "a.ts": reaction(1) });
  await using one = await watched(folder);
  assert.deepEqual(one.swaps, [[1]]);
});

test("a save, a new file, a new folder, a rename over a file and a deletion are seen through events", async () => {
  await using folder = await testFolder({ "a.ts": reaction(1) });
  await using watch = await watched(folder);
  await folder.write("a.ts", reaction(2));
  await watch.answers(2);
  await folder.write("b.ts", reaction(3));
  await watch.answers(2, 3);
  await folder.write("c/deep/x.ts", reaction(4));
  await watch.answers(2, 3, 4);
  await folder.write("c/deep/x.ts", reaction(5));
  await watch.answers(2, 3, 5);
  for (const answer of [6, 7]) {
    await folder.write("a.ts~", reaction(answer));
    await rename(join(folder.path, "a.ts~"), join(folder.path, "a.ts"));
    await watch.answers(answer, 3, 5);
  }
  await rename(join(folder.path, "a.ts"), join(folder.path, "a.ts.bak"));
  await folder.write("a.ts", reaction(8));
  await watch.answers(8, 3, 5);
  await rm(join(folder.path, "b.ts"));
  await watch.answers(8, 5);
  await rm(join(folder.path, "c"), { recursive: true });
  await watch.answers(8);
});

test("a changed helper is seen through events, also one outside of the folder that is renamed over", async () => {
  await using folder = await testFolder({
    "../lib/n.ts": "export const n = 1;",
    "a.ts": reactionTo("n", `import { n } from "../lib/n.ts";`),
  });
  await using watch = await watched(folder);
  await folder.write("../lib/n.ts", "export const n = 2;");
  await watch.answers(2);
  for (const n of [3, 4]) {
    await folder.write("../lib/.new", `export const n = ${n};`);
    await rename(join(folder.path, "../lib/.new"), join(folder.path, "../lib/n.ts"));
    await watch.answers(n);
  }
});

test("a symlink swapped as Kubernetes does it is seen through events, and nothing is loaded twice", async () => {
  await using folder = await testFolder({});
  const publish = async (stamp: string, answer: number) => {
    await mkdir(join(folder.path, stamp));
    await writeFile(
      join(folder.path, stamp, "x.ts"),
      reactionTo("n", `import { n } from "./_n.ts"`),
    );
    await writeFile(join(folder.path, stamp, "_n.ts"), `export const n = ${answer};`);
    await symlink(stamp, join(folder.path, "..data_tmp"));
    await rename(join(folder.path, "..data_tmp"), join(folder.path, "..data"));
  };
  await publish("..2026_1", 1);
  await symlink("..data/x.ts", join(folder.path, "x.ts"));
  await symlink("..data/_n.ts", join(folder.path, "_n.ts"));
  await using watch = await watched(folder);
  assert.deepEqual(watch.swaps, [[1]]);
  for (const n of [2, 3, 4]) {
    await publish(`..2026_${n}`, n);
    await rm(join(folder.path, `..2026_${n - 1}`), { recursive: true });
    await watch.answers(n);
  }
  const failed = watch.reports.filter(({ kind }) => kind !== "loaded");
  assert.deepEqual(failed, []);
});

test("a burst of saves ends in the last one, with few versions between", async () => {
  await using folder = await testFolder({ "a.ts": reaction(0) });
  await using watch = await watched(folder);
  for (let n = 1; n <= 200; n++) {
    await folder.write("a.ts", reaction(n));
    await sleep(n % 20 === 0 ? 30 : 1);
  }
  await watch.answers(200);
  assert(watch.swaps.length < 50, `${watch.swaps.length} swaps for 200 saves`);
});

test("a folder that never rests is compiled all the same", async () => {
  await using folder = await testFolder({ "a.ts": reaction(0) });
  await using watch = await watched(folder);
  const stop = Date.now() + 5_000;
  for (let n = 1; watch.swaps.length < 3; n++) {
    assert(Date.now() < stop, "nothing was swapped in 5 s of writing");
    await folder.write("a.ts", reaction(n));
    await sleep(1);
  }
});

test("W1: the swap is awaited before the next look, and W2: loaded is reported after it", async () => {
  await using folder = await testFolder({ "a.ts": reaction(0) });
  const log: string[] = [];
  let release = () => {};
  const watch = await watchModules({
    folder: folder.path,
    pollMs: never,
    async onHandlers(handlers) {
      log.push(`swap ${handlers.length}`);
      if (log.length > 2) await new Promise<void>((resolve) => (release = resolve));
    },
    onReport: (report) => void log.push(report.kind),
  });
  await folder.write("b.ts", reaction(0));
  await until(
    () => log.length === 3,
    () => log.join(),
  );
  await folder.write("c.ts", reaction(0));
  await sleep(100);
  assert.deepEqual(log, ["swap 1", "loaded", "swap 2"]);
  release();
  await until(
    () => log.length === 5,
    () => log.join(),
  );
  assert.deepEqual(log.slice(3), ["loaded", "swap 3"]);
  release();
  await watch.close();
});

test("a set that is not taken is said and handed over again", async () => {
  await using folder = await testFolder({ "a.ts": reaction(0) });
  const reports: ModuleReport[] = [];
  let calls = 0;
  const watch = await watchModules({
    folder: folder.path,
    pollMs: 20,
    onHandlers() {
      if (++calls === 2) throw new Error("no server");
    },
    onReport: (report) => void reports.push(report),
  });
  await folder.write("b.ts", reaction(0));
  await until(
    () => calls === 3,
    () => JSON.stringify(reports),
  );
  await watch.close();
  assert.deepEqual(
    reports.map((r) => (r.kind === "failed" ? r.failure.code : r.kind)),
    ["loaded", "EDDY_HANDLERS_NOT_SWAPPED", "loaded"],
  );
});

test("a folder that is mounted later is found by looking, and then watched", async () => {
  await using folder = await testFolder({ "a.ts": reaction(1) });
  await rename(folder.path, `${folder.path}.away`);
  await using watch = await watched(folder, 50);
  assert.deepEqual(
    watch.reports.map((r) => (r.kind === "folder" ? r.state : r.kind)),
    ["missing"],
  );
  await rename(`${folder.path}.away`, folder.path);
  await watch.answers(1);
  await folder.write("a.ts", reaction(2));
  await watch.answers(2);
});

test("another folder put in its place is watched like the first", async () => {
  await using folder = await testFolder({ "a.ts": reaction(1), "../next/a.ts": reaction(2) });
  await using watch = await watched(folder);
  await rename(folder.path, `${folder.path}.old`);
  await rename(join(folder.path, "../next"), folder.path);
  await watch.answers(2);
  await folder.write("a.ts", reaction(3));
  await watch.answers(3);
});
