import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../support/eventually.ts";
import { assertOneEffectEach, ofType } from "../support/log.ts";
import type { TestNode } from "../support/node.ts";
import { startWorld } from "../support/world.ts";

const relay = (data: string, body = "", reload = `"verify"`) => `
import { event, on, Permanent, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer() }));
export const relay = on(Placed, { emits: [Noted], start: "first", reload: ${reload} }, ({ data: { n } }, ctx) => {
  ${body}
  ctx.emit(Noted, { n: ${data} });
});`;

const other = (version: number) => `
import { event, on, Type } from "eddyline";
export const version = ${version};
export const idle = on(event("com.acme.other", Type.Object({})), () => void ${version});`;

const placed = (n: number) => ({
  id: `e${n}`,
  type: "com.acme.order.placed",
  subject: `order-${n}`,
  data: { n },
});

/** Gives the next line of the log with a text. */
function listenTo(node: TestNode): (text: string) => Promise<string> {
  let seen = 0;
  return (text) =>
    eventually(
      () => {
        const lines = node.output().split("\n").slice(0, -1);
        const at = lines.findIndex((line, n) => n >= seen && line.includes(text));
        if (at < 0) return undefined;
        seen = at + 1;
        return String(JSON.parse(lines[at] ?? "").msg);
      },
      { timeoutMs: 20_000, what: `that the log says ${text}` },
    );
}

const letter = `if (n === 13) throw new Permanent("thirteen");`;

test("P4: a version that changes what it may not, or blocks, does not take over; one that may, or mends, does", async () => {
  await using world = await startWorld({ "relay.ts": relay("n", letter), "other.ts": other(0) });
  await using node = await world.start();
  await world.produce(Array.from({ length: 50 }, (_, n) => placed(n)));
  await world.settled();
  const said = listenTo(node);

  world.write("relay.ts", relay("n + 100", letter));
  const refusal = await said("EDDY_RELOAD_REFUSED");
  assert.match(refusal, /last 50 events .* 49 with other emitted events.*allow: \["emits"\]/);
  assert.match(refusal, /Version \w+ runs on/);

  world.write("relay.ts", relay("n", `${letter} if (n === 20) throw new Error("anew");`));
  assert.match(await said("EDDY_RELOAD_REFUSED"), /1 that fail anew, first .*e20.*Error: anew/);

  world.write("relay.ts", relay("n", `${letter} if (n === 30) for (;;);`));
  world.write("other.ts", other(1));
  const begun = Date.now();
  assert.match(await said("EDDY_RELOAD_REFUSED"), /e30.*EDDY_THREAD_BLOCKED/);
  assert.match(await said("loaded other.ts"), /loaded other\.ts/);
  assert.ok(Date.now() - begun < 15_000, "another module's reload waited for long");

  await world.produce([placed(50)]);
  await world.settled();
  world.write("relay.ts", relay("n"));
  assert.match(await said("loaded relay.ts"), /no difference, 1 of 1 open letters would succeed/);

  const allowed = `{ verify: 10, allow: ["emits"] }`;
  world.write("relay.ts", relay("n + 100", "", allowed));
  assert.match(await said("loaded relay.ts"), /over 10 events: 10 allowed differences/);
  await world.produce([placed(51)]);
  await world.settled();

  const log = await world.log();
  const effects = ofType(log, "com.acme.order.noted");
  assertOneEffectEach(
    ofType(log, "com.acme.order.placed").filter(({ attributes }) => attributes.id !== "e13"),
    effects,
  );
  const numbers = effects.map(({ data }) => Number(Reflect.get(Object(data), "n")));
  assert.deepEqual([numbers.at(-2), numbers.at(-1)], [50, 151]);
});

const scans = (length: string) => `
import { event, on, projection, Type } from "eddyline";
const Scanned = event("com.acme.scan.read", Type.Object({ n: Type.Integer(), text: Type.String() }));
const Noted = event("com.acme.scan.noted", Type.Object({ length: Type.Integer() }));
const options = { start: "first", reload: "verify" } as const;
export const note = on(Scanned, { ...options, emits: [Noted] }, ({ data }, ctx) => {
  ctx.emit(Noted, { length: ${length} });
});
export const lengths = projection("lengths", {
  ...options, from: [Scanned], state: Type.Object({ length: Type.Integer() }),
  key: ({ data }) => "scan-" + data.n, apply: (_, { data }) => ({ length: ${length} }),
});`;

test("P4: data that is outside of its events is there for both versions, in the threads in which they are compared", async () => {
  await using world = await startWorld({ "scans.ts": scans("data.text.length") });
  await using node = await world.start({ env: { EDDY_HTTP_MAX_BODY_BYTES: "16MiB" } });
  const headers = {
    "ce-specversion": "1.0",
    "ce-source": "/test",
    "ce-type": "com.acme.scan.read",
  };
  for (const [n, size] of [5, 2_000_000, 3_000_000].entries()) {
    const answer = await fetch(`${node.url}/events`, {
      method: "POST",
      headers: { ...headers, "ce-id": `s${n}`, "content-type": "application/json" },
      body: JSON.stringify({ n, text: "x".repeat(size) }),
    });
    assert.equal(answer.status, 202);
  }
  await world.settled();
  const said = listenTo(node);
  await said("loaded scans.ts");
  world.write("scans.ts", scans("Math.min(data.text.length, 4_000_000)"));
  const taken = await said("loaded scans.ts");
  assert.match(taken, /note was verified over 3 events: no difference/);
  assert.match(taken, /lengths was verified over 3 events: no difference/);
  world.write("scans.ts", scans("Math.min(data.text.length, 2_500_000)"));
  assert.match(await said("EDDY_RELOAD_REFUSED"), /1 other entries, first entry "scan-2"/);
});
