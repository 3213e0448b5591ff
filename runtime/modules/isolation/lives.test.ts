import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { eventually } from "../../../tests/support/eventually.ts";
import { isolatedModule } from "../support/isolated.ts";

const version = (n: number, waits = "") => `
export const react = on(A, { emits: [B] }, async (_, ctx) => { ${waits} ctx.emit(B, { n: ${n} }); });`;

async function answer(
  run: Promise<readonly { readonly data: Uint8Array }[]>,
): Promise<number | undefined> {
  const [effect] = await run;
  return effect && JSON.parse(Buffer.from(effect.data).toString()).n;
}

test("a new version has a new thread; the old one finishes what it has, and still answers who comes late", async () => {
  await using m = await isolatedModule(version(1, "await new Promise((r) => setTimeout(r, 300));"));
  const old = await m.find("react");
  const under = answer(old.remote.run(m.call({})));
  await m.write(version(2));
  const now = await m.find("react");
  assert.notEqual(now.version, old.version);
  assert.equal(await answer(now.remote.run(m.call({}))), 2);
  assert.equal(await under, 1);
  assert.equal(await answer(old.remote.run(m.call({}))), 1);
});

test("a version whose thread exits, needs too much memory or throws as it loads is refused, and the old one runs on", async () => {
  await using m = await isolatedModule(version(1));
  const react = await m.find("react");
  const refused = async (source: string, expected: object) => {
    await m.write(source);
    await assert.rejects(m.load(), (failure) => {
      for (const [key, value] of Object.entries(expected)) {
        const found = Reflect.get(Object(failure), key);
        if (value instanceof RegExp) assert.match(found, value);
        else assert.equal(found, value);
      }
      return true;
    });
    assert.equal(await answer(react.remote.run(m.call({}))), 1);
  };
  await refused("process.exit(7);", { code: "EDDY_THREAD_EXITED", message: /process\.exit\(7\)/ });
  await refused("const all: unknown[] = []; for (;;) all.push(new Array(1000).fill(1));", {
    code: "EDDY_THREAD_MEMORY",
  });
  await refused('\nthrow new TypeError("not today");', {
    code: "EDDY_HANDLER_LOAD",
    message: /TypeError: not today/,
    line: 5,
  });
  await refused("for (;;);", { code: "EDDY_HANDLER_ENDLESS" });
  await m.write(version(2));
  assert.equal(await answer((await m.find("react")).remote.run(m.call({}))), 2);
});

test("a thread that dies again and again by itself is started anew, less and less often", async () => {
  await using m = await isolatedModule(`${version(1)} setTimeout(() => process.exit(1), 20);`);
  await m.load();
  await eventually(() => m.codes().length >= 3, { timeoutMs: 20_000 });
  assert.ok(m.codes().every((code) => code === "EDDY_THREAD_EXITED"));
});

test("a thread that waits to be started anew is not, once another version has taken over", async () => {
  await using m = await isolatedModule(`${version(1)} setTimeout(() => process.exit(1), 20);`);
  await m.load();
  await eventually(() => m.codes().length >= 3, { timeoutMs: 20_000 }); // now it waits for 400 ms
  await m.write(version(2));
  await m.find("react");
  await sleep(50);
  const deaths = m.codes().length;
  await sleep(1_500);
  assert.equal(m.codes().length, deaths);
});

test("closed, a thread is gone, whatever it was at", async () => {
  await using m = await isolatedModule(version(1, "for (;;);"));
  const react = await m.find("react");
  void react.remote.run(m.call({}));
  await m.close();
  assert.deepEqual(m.codes(), []);
});
