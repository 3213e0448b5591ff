import assert from "node:assert/strict";
import { test } from "node:test";
import { eddyJson } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { countMessages, ofType } from "../support/log.ts";
import { startWorld } from "../support/world.ts";

const relay = (where: string) => `
import { event, on, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer(), status: Type.String() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
const where = ${where};
export const relay = on(Placed, { emits: [Noted], start: "first", where }, async ({ data }, ctx) => {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
  ctx.emit(Noted, { n: data.n });
});
`;
const paid = relay('{ data: { status: ["paid"] } }');
const open = relay('{ data: { status: [{ "anything-but": "paid" }] } }');
const placed = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    id: `e${from + i}`,
    type: "com.acme.order.placed",
    data: { n: from + i, status: (from + i) % 4 === 0 ? "paid" : "open" },
  }));

for (const isolation of ["inline", "thread"]) {
  test(`P1 P2: killed while most events are filtered (isolation: ${isolation}), every one is counted once; a saved file selects anew`, async () => {
    await using world = await startWorld({ "relay.ts": paid });
    const env = { EDDY_FOLDERS: `{relay.ts: {isolation: ${isolation}}}` };
    const node = await world.start({ env });
    const producing = world.produce(placed(0, 2_000));
    const noted = () => countMessages(world.nc, "events.com.acme.order.noted.*");
    await eventually(async () => (await noted()) > 50, { timeoutMs: 20_000 });
    await node.kill();
    assert.ok((await noted()) < 500, "the kill came too late");
    await using again = await world.start({ env });
    await producing;
    const counts = async () => {
      const row = (await world.settled()).get("relay.relay");
      assert.ok(row);
      return [row.delivered, row.handled, row.duplicate, row.filtered];
    };
    assert.deepEqual(await counts(), [2_000, 500, 0, 1_500]);
    const version = async () =>
      (await eddyJson<{ version: string }[]>(world.nats, "handlers"))[0]?.version;
    const before = await version();
    world.write("relay.ts", open);
    await eventually(async () => (await version()) !== before, { timeoutMs: 20_000 });
    await world.produce([...placed(0, 8), ...placed(2_000, 2_400)]);
    assert.deepEqual(await counts(), [2_408, 800, 8, 1_600]);
    const effects = ofType(await world.log(), "com.acme.order.noted");
    assert.equal(new Set(effects.map(({ attributes }) => attributes.id)).size, 800);
    assert.equal(effects.length, 800);
    const [reconciled] = await eddyJson<{ findings: unknown[] }[]>(world.nats, "reconcile");
    assert.deepEqual(reconciled?.findings, []);
    assert.ok(again.output().includes("is running"));
  });
}
