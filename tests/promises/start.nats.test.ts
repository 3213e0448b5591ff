import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { temporaryFolder } from "../support/node.ts";
import { countsOf, startWorld } from "../support/world.ts";

const sums = `
import { event, projection, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
export const sums = projection("sums", { from: [Placed], key: () => "all", apply: (_, { data }) => data });
`;
const placed = (n: number) => ({ id: `e${n}`, type: "com.acme.order.placed", data: { n } });

test("P4: of two handlers of one name the first runs on, and the other one is refused by file", async () => {
  await using world = await startWorld({ "a.ts": sums });
  await using node = await world.start();
  world.write("b.ts", sums);
  await eventually(() => node.output().includes("EDDY_HANDLER_NAME_TAKEN"));
  assert.match(node.output(), /b\.ts declares the handler sums, and so does .*a\.ts/);
  await world.produce([placed(1)]);
  const rows = await world.settled();
  assert.equal(rows.size, 1);
  assert.deepEqual(countsOf(rows, "sums"), [1, 1, 0, 0]);
});

test("P4: a handlers folder that is missing, empty or no folder is said, and handlers run once they are there", async () => {
  await using world = await startWorld({});
  await using empty = await world.start({ ready: false, env: { EDDY_APP: "empty" } });
  const missing = join(world.handlers, "..", "missing");
  const noFolder = join(world.handlers, "..", "file");
  writeFileSync(noFolder, "");
  await using without = await world.start({
    ready: false,
    env: { EDDY_HANDLERS: missing, EDDY_WATCH_POLL: "100ms" },
  });
  await using unreadable = await world.start({
    ready: false,
    env: { EDDY_APP: "none", EDDY_HANDLERS: noFolder },
  });
  const says = (output: () => string, what: RegExp) =>
    eventually(
      () => {
        if (!what.test(output())) throw new Error(output());
        return true;
      },
      { timeoutMs: 10_000, what: `that it says ${what}` },
    );
  await says(empty.output, /handlers folder .*handlers holds no module/);
  await says(without.output, /handlers folder .*missing does not exist/);
  await says(unreadable.output, /handlers folder .*file cannot be read: it is not a folder/);
  for (const node of [empty, without, unreadable]) {
    const healthy = () => fetch(`${node.url}/healthz`).then(({ status }) => status === 200);
    await eventually(healthy);
  }
  mkdirSync(missing);
  writeFileSync(join(missing, "sums.ts"), sums);
  await says(without.output, /sums@\w+ is running/);
  await without.untilReady();
  await world.produce([placed(1)]);
  assert.deepEqual(countsOf(await world.settled(), "sums"), [1, 1, 0, 0]);
});

test("a port that is taken ends the start with a letter and exit code 1", async () => {
  await using world = await startWorld({ "a.ts": sums });
  await using node = await world.start();
  const { port } = new URL(node.url);
  const { code, err, out } = await runEddy(["start"], {
    EDDY_NATS_SERVERS: world.nats.url,
    EDDY_HANDLERS: world.handlers,
    EDDY_HTTP_PORT: port,
  });
  assert.equal(code, 1, out + err);
  assert.match(
    err,
    new RegExp(`^EDDY_HTTP_PORT_TAKEN {2}port ${port} on 127\\.0\\.0\\.1 is taken`),
  );
  assert.match(err, /http\.port, or EDDY_HTTP_PORT/);
  assert.doesNotMatch(err, /\n\s+at /);
});

test("a configuration of a wrong type ends the start with exit code 2, naming key, file and what is allowed", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "eddy.yaml");
  writeFileSync(file, "app: shop\nhttp:\n  port: eighty\n");
  const { code, err, out } = await runEddy(["start", "--config", file]);
  assert.equal(code, 2, out + err);
  assert.match(err, /^EDDY_CONFIG /);
  assert.ok(err.includes(`${file}:3`), err);
  assert.match(err, /http\.port must be a whole number from 0 to 65535, got "eighty"/);
  assert.doesNotMatch(err, /\n\s+at /);
});
