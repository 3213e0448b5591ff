// A process that reloads a folder module N times, each time with new code, and prints what memory stays.
// After a warm-up: the first reloads fill caches that do not grow any more.
import assert from "node:assert/strict";
import { blank, handlersIn, rescan } from "../rescan.ts";
import { mapStack } from "../stack.ts";
import { reactionTo, testFolder } from "./folder.ts";

const warmUp = 100;

async function main(reloads: number): Promise<void> {
  // Some code and a big array, so that one version that stays is seen.
  const bulk = Array.from({ length: 100 }, (_, n) => `export const f${n} = () => "${n} of many";`);
  await using folder = await testFolder({ "m/bulk.ts": bulk.join("\n") });
  let picture = blank;
  let before = 0;
  for (let n = 0; n <= warmUp + reloads; n++) {
    const fails = `(() => { void weight; throw new Error("${n}"); })()`;
    const imports = `import * as bulk from "./bulk.ts"; const weight = [bulk, new Array(10_000).fill(${n})];`;
    await folder.write("m/a.ts", reactionTo(fails, imports));
    // Every tenth does not load, as happens while somebody edits.
    if (n % 10 === 0) await folder.write("m/a.ts", `throw new Error("${n}");`);
    picture = (await rescan(folder.path, picture, performance.now())).picture;
    if (n % 10 !== 0) assert.match(stackOf(handlersIn(picture)[0]), /m\/a\.ts:3:/);
    if (n === warmUp) before = await usedBytes();
    if (n % 200 === 0) await usedBytes();
  }
  console.log(JSON.stringify({ growthBytes: (await usedBytes()) - before }));
}

/** Runs the handler, as a version that was never run is freed easily; its stack shows the live version. */
function stackOf(handler: ReturnType<typeof handlersIn>[number] | undefined): string {
  assert(handler?.declaration.kind === "reaction");
  try {
    Reflect.apply(handler.declaration.run, undefined, []);
  } catch (error) {
    assert(error instanceof Error);
    return mapStack(error.stack ?? "");
  }
  return "";
}

async function usedBytes(): Promise<number> {
  assert(globalThis.gc !== undefined, "run with --expose-gc");
  for (let n = 0; n < 5; n++) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc();
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  console.log(`heap ${heapUsed} external ${external} rss ${rss}`);
  return heapUsed + external;
}

await main(Number(process.argv[2]));
