import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { assertOneEffectEach, ofType } from "../support/log.ts";
import { countsOf, startWorld } from "../support/world.ts";

const types = `import { event, on, projection, Type } from "eddyline";
const Asked = event("com.acme.asked", Type.Object({ n: Type.Integer(), block: Type.Boolean() }));
const Answered = event("com.acme.answered", Type.Object({ n: Type.Integer(), version: Type.Integer() }));
const Ticked = event("com.acme.ticked", Type.Object({ atMs: Type.Number() }));
const Late = event("com.acme.late", Type.Object({ ms: Type.Number() }));
`;

const isolated = (version: number) => `${types}
export const answer = on(Asked, { emits: [Answered], start: "first", deadline: "3s", retry: ["100ms"] },
  async ({ data }, ctx) => {
    if (data.block) for (;;);
    await new Promise((resolve) => setTimeout(resolve, 5));
    ctx.emit(Answered, { n: data.n, version: ${version} });
  });
export const counts = projection("counts", {
  from: [Asked],
  key: (e) => String(e.data.n % 10),
  apply: (state: { count: number } | undefined) => ({ count: (state?.count ?? 0) + 1 }),
} as never);
`;

const inline = `${types}
export const tick = on(Ticked, { emits: [Late], start: "first" }, ({ data }, ctx) => {
  ctx.emit(Late, { ms: Date.now() - data.atMs });
});
`;

const asked = (n: number, block = false) => ({
  id: `a${n}`,
  type: "com.acme.asked",
  subject: `s${n % 20}`,
  data: { n, block },
});

test("P4: a handler that blocks its thread for ever harms nothing but its own event, also while it is reloaded", async () => {
  await using world = await startWorld({ "iso.ts": isolated(1), "inline.ts": inline });
  await using node = await world.start({
    env: { EDDY_FOLDERS: "{iso.ts: {isolation: thread, memory: 64MiB}, nobody: {}}" },
  });
  let ticks = 0;
  let ticking = true;
  const steady = (async () => {
    for (; ticking; ticks++) {
      const data = { atMs: Date.now() };
      await world.produce([{ id: `t${ticks}`, type: "com.acme.ticked", data }]);
      await new Promise((resolve) => setTimeout(resolve, 10)); // the pace, not a wait
    }
  })();
  const blocks = new Set([30, 180]);
  for (let from = 0; from < 300; from += 50) {
    const some = Array.from({ length: 50 }, (_, i) => asked(from + i, blocks.has(from + i)));
    await world.produce(some);
    if (from % 100 === 50) world.write("iso.ts", isolated(from));
  }
  const dead = () => node.output().match(/"outcome":"dead"/g)?.length ?? 0;
  await eventually(() => dead() === blocks.size, { timeoutMs: 60_000 });
  world.write("iso.ts", isolated(999));
  await eventually(() => node.output().includes("loaded iso.ts"));
  ticking = false;
  await steady;
  await world.produce([asked(1_000)]);
  const rows = await world.settled();

  assert.deepEqual(countsOf(rows, "iso.answer"), [301, 299, 0, 2]);
  assert.deepEqual(countsOf(rows, "counts"), [301, 301, 0, 0]);
  assert.deepEqual(countsOf(rows, "inline.tick"), [ticks, ticks, 0, 0]);
  const log = await world.log();
  const questions = ofType(log, "com.acme.asked").filter(
    ({ data }) => Reflect.get(Object(data), "block") === false,
  );
  assertOneEffectEach(questions, ofType(log, "com.acme.answered"));
  const late = ofType(log, "com.acme.late").map(({ data }) => Reflect.get(Object(data), "ms"));
  // The thread was blocked for most of the time: had that held back the in-line handler, far more had been late.
  const ninetieth = late.toSorted((a, b) => a - b)[Math.floor(late.length * 0.9)] ?? 0;
  assert.ok(ninetieth < 1_500, `of the in-line events one in ten waited for ${ninetieth} ms`);
  assert.match(node.output(), /folders\.nobody is for no module/);
  assert.equal(await node.stop(), 0);
});
