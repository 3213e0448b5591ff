import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect } from "nats";
import { findNatsServer } from "./find.ts";
import { startLocalServer } from "./server.ts";

const root = await mkdtemp(join(tmpdir(), "eddy-server-"));
const { path: binary } = await findNatsServer({ onProgress: () => {} });
const config = "config/nats/dev.conf";
after(() => rm(root, { recursive: true, force: true }));

test("S1: the dev config gives a JetStream server that accepts clients, stops, and keeps its store", async () => {
  const storeDir = join(root, "store");
  const log: string[] = [];
  const server = await startLocalServer({
    binary,
    config,
    storeDir,
    port: -1,
    onLog: (line) => log.push(line),
  });
  const connection = await connect({ servers: server.url });
  assert.equal(connection.info?.server_name, "eddyline-dev");
  assert.equal(connection.info?.jetstream, true);
  assert.equal(connection.info?.max_payload, 1024 * 1024);
  await connection.close();
  await server.stop();
  assert.deepEqual(await server.exited, { code: 0, signal: null });
  assert.match(log.join("\n"), /Server is ready/);
  assert.deepEqual(await readdir(storeDir), ["jetstream"]);
});

test("S2: a second server on the same store is refused, and after a kill the store is free again", async () => {
  const options = { binary, config, storeDir: join(root, "shared"), port: -1 };
  const first = await startLocalServer(options);
  await assert.rejects(startLocalServer(options), {
    code: "EDDY_STORE_LOCKED",
    message: new RegExp(`in use by another nats-server \\(pid ${first.pid}`),
  });
  await first.stop("SIGKILL");
  const second = await startLocalServer(options);
  await second.stop();
});

test("a taken port is an error that says what sits there", async () => {
  const first = await startLocalServer({ binary, config, storeDir: join(root, "a"), port: -1 });
  const second = { binary, config, storeDir: join(root, "b") };
  await assert.rejects(startLocalServer({ ...second, port: first.port }), {
    code: "EDDY_PORT_TAKEN",
    message: /is taken by nats-server 2\.\S+ \(named eddyline-dev\)/,
  });
  await first.stop();

  const stranger = createServer((socket) => socket.end("220 mail\r\n")).listen(0, "127.0.0.1");
  await new Promise((resolve) => stranger.once("listening", resolve));
  const address = stranger.address();
  assert.ok(typeof address === "object" && address !== null);
  await assert.rejects(startLocalServer({ ...second, port: address.port }), {
    code: "EDDY_PORT_TAKEN",
    message: /not a nats-server/,
  });
  stranger.close();
});

test("a server that ends early is an error with its own last words", async () => {
  const broken = join(root, "broken.conf");
  await writeFile(broken, "jetstream { sync_interval: sometimes }");
  const options = { binary, config: broken, storeDir: join(root, "c"), port: -1 };
  await assert.rejects(startLocalServer(options), {
    code: "EDDY_NATS_SERVER_FAILED",
    message:
      /ended with code 1 before it was ready\. Its last words:\n.*broken\.conf:1.*sync_interval/s,
  });
  await assert.rejects(startLocalServer({ ...options, binary: join(root, "none") }), {
    code: "EDDY_NATS_SERVER_FAILED",
    message: /could not be started.*ENOENT/s,
  });
});
