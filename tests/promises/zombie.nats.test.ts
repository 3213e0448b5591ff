import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import {
  assertOneEffectEach,
  assertOrderPerSubject,
  countMessages,
  ofType,
} from "../support/log.ts";
import { countsOf, startWorld } from "../support/world.ts";

const relay = `
import { event, on, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer(), pid: Type.Integer() }));
export const relay = on(Placed, { emits: [Noted], start: "first" }, async ({ data }, ctx) => {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
  ctx.emit(Noted, { n: data.n, pid: process.pid });
});
`;
const noted = "events.com.acme.order.noted.*";

const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `e${from + i}`,
    type: "com.acme.order.placed",
    subject: `order-${(from + i) % 20}`,
    data: { n: from + i },
  }));

test("P2: an instance that sleeps while another takes over is refused when it wakes, stands by and says so, and takes over when the other is gone", async () => {
  await using world = await startWorld({ "relay.ts": relay });
  const count = (n: number) =>
    eventually(async () => (await countMessages(world.nc, noted)) >= n, {
      timeoutMs: 30_000,
      what: `that ${n} are noted`,
    });
  await using first = await world.start();
  await world.produce(placed(0, 1_000));
  await count(100);
  first.signal("SIGSTOP");
  const asleep = await countMessages(world.nc, noted);
  assert.ok(asleep < 1_000, "the stop came too late");
  const second = await world.start();
  await using _ = second;
  await count(asleep + 100);
  first.signal("SIGCONT");
  await world.produce(placed(1_000, 1_200));
  await eventually(() => first.output().includes("is standby: another instance"), {
    timeoutMs: 10_000,
    what: "that the first one says that it stands by",
  });
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [1_200, 1_200, 0, 0]);
  assert.equal((await first.readiness()).status, 200);

  await second.kill();
  await world.produce(placed(1_200, 1_300));
  await count(1_300);
  assert.deepEqual(countsOf(await world.settled(), "relay.relay"), [1_300, 1_300, 0, 0]);
  const log = await world.log();
  const effects = ofType(log, "com.acme.order.noted");
  assertOneEffectEach(ofType(log, "com.acme.order.placed"), effects);
  assertOrderPerSubject(effects);
  // what the stopped one had already sent may be stored after it was seen asleep: only the turns are certain
  const turns = effects
    .map(({ data }) => Reflect.get(Object(data), "pid"))
    .filter((pid, i, pids) => pid !== pids[i - 1]);
  assert.deepEqual(turns, [first.pid, second.pid, first.pid]);
  assert.equal(Reflect.get(Object(effects[1_200]?.data), "pid"), first.pid);
});
