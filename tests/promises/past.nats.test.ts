// The past of a projection, asked of a node and with the command: both fold it with the code of the handlers folder, also
// where the node runs it in a thread.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runEddy } from "../support/cli.ts";
import { startWorld } from "../support/world.ts";

const stock = `
import { event, projection, Type } from "eddyline";
export const Counted = event("com.acme.stock.counted", Type.Object({ sku: Type.String(), n: Type.Integer() }));
export const stock = projection("stock", {
  from: [Counted],
  key: (e) => e.data.sku,
  apply: (state, e) => (e.data.n === 0 ? null : { sku: e.data.sku, n: (state?.n ?? 0) + e.data.n }),
});
`;
const type = "com.acme.stock.counted";
const counts = [
  ["oar", 2],
  ["canoe", 1],
  ["oar", 3],
  ["canoe", 0],
] as const;

for (const isolation of ["process", "thread"] as const) {
  test(`time travel: ${isolation}: a node and the command tell the same of the past`, async () => {
    await using world = await startWorld({ "stock.ts": stock });
    const folders = JSON.stringify({ stock: { isolation } });
    await using node = await world.start({
      env: isolation === "thread" ? { EDDY_FOLDERS: folders } : {},
    });
    for (const [at, [sku, n]] of counts.entries())
      await world.produce([{ id: `e${at}`, type, subject: sku, data: { sku, n } }]);
    await world.settled();
    const get = async (path: string) =>
      await (await fetch(`${node.url}/projections/${path}`)).json();
    const cli = async (...args: string[]) => {
      const env = { EDDY_NATS_SERVERS: world.nats.url };
      return await runEddy(["projection", ...args, "--handlers", world.handlers], env);
    };
    const json = async (...args: string[]) => {
      const { code, out, err } = await cli(...args, "--json");
      assert.equal(code, 0, out + err);
      return JSON.parse(out);
    };

    assert.deepEqual(await get("stock/oar?at=EVENTS:2"), { sku: "oar", n: 2 });
    const then = await json("get", "stock", "oar", "--at", "EVENTS:2");
    assert.deepEqual(
      [then.value, then.position, then.present],
      [{ sku: "oar", n: 2 }, "EVENTS:2", false],
    );

    const { events } = await json("get", "stock", "canoe", "--history");
    assert.deepEqual(
      events.map((row: { id: string; what: string }) => [row.id, row.what]),
      [
        ["e1", "set"],
        ["e3", "removed"],
      ],
    );
    assert.deepEqual(
      ((await get("stock/canoe?history=true")) as { events: unknown }).events,
      events,
    );

    const difference = await json("diff", "stock", "--from", "EVENTS:2", "--to", "EVENTS:4");
    assert.deepEqual(difference.changes, [
      { key: "canoe", kind: "removed", before: { sku: "canoe", n: 1 } },
      { key: "oar", kind: "changed", before: { sku: "oar", n: 2 }, after: { sku: "oar", n: 5 } },
    ]);
    assert.deepEqual(await get("stock?from=EVENTS:2&to=EVENTS:4"), difference);
    if (isolation === "thread") return;

    const shown = await cli("get", "stock", "canoe", "--history");
    assert.match(
      shown.out,
      /EVENTS:2 .* e1 +set +\{"sku":"canoe","n":1\}\n.*EVENTS:4 .* e3 +removed\n/,
    );
    const text = await cli("diff", "stock", "--from", "EVENTS:2");
    assert.match(
      text.out,
      /^EVENTS:2 to EVENTS:4: 0 added, 1 removed, 1 changed\n- canoe\n {4}was \{/,
    );
    const present = await cli("get", "stock", "oar", "--at", "0ms");
    assert.deepEqual(JSON.parse(present.out), { sku: "oar", n: 5 });
    assert.match(present.err, /EVENTS:4 is the end of the log: this is the present/);
    const bad: [string[], number, RegExp][] = [
      [["get", "stock", "oar", "--at", "soon"], 2, /EDDY_USAGE +--at must be a time/],
      [["get", "stock", "--history"], 2, /EDDY_USAGE +--history needs the key/],
      [["get", "stock", "oar", "--at", "1", "--history"], 2, /not for both/],
      [["get", "stock", "oar", "--history", "--limit", "0"], 2, /--limit must be/],
      [["get", "stock", "canoe", "--at", "4"], 3, /EDDY_NOT_FOUND.*id e3\) at EVENTS:4/],
      [["get", "stock", "oar", "--at", "0"], 3, /EDDY_PAST_BEFORE/],
      [["get", "nothing", "oar", "--at", "1"], 3, /EDDY_PAST_CODE/],
      [["diff", "stock"], 2, /--from/],
      [["diff", "stock", "--from", "3", "--to", "1"], 2, /EDDY_PAST_ORDER/],
    ];
    for (const [args, code, said] of bad) {
      const ended = await cli(...args);
      assert.deepEqual(
        [ended.code, said.test(ended.err)],
        [code, true],
        `${args.join(" ")}: ${ended.err}`,
      );
    }
  });
}
