// Thousands of messages that are, or nearly are, events, sent raw to a running runtime beside a trickle of good ones.
// The seed is printed; FUZZ_SEED gives one. What once broke something is kept in tests/seeds/ and sent first.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import fc from "fast-check";
import { headers, type NatsConnection } from "nats";
import { decodeStored } from "../../runtime/events/index.ts";
import { anyMessage, type RawMessage } from "../../runtime/events/message-arbitraries.ts";
import { peekIdentity } from "../../runtime/pipeline/identities/identity.ts";
import { eddyJson } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { startWorld } from "../support/world.ts";

/** `FUZZ_MESSAGES=2000` is a short run. */
const messages = Number(process.env.FUZZ_MESSAGES ?? 20_000);
const type = "com.acme.fuzz";
const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const again = `FUZZ_SEED=${seed} node --import tsx tests/run.ts promises/fuzz`;

// What a handler may do with an event: read all of it, and derive others from it.
const fuzzed = `
  import { event, on, projection, Type } from "eddyline";
  const Fuzzed = event("${type}", Type.Unknown());
  const Seen = event("com.acme.seen", Type.Object({ id: Type.String(), text: Type.String() }));
  export const see = on(Fuzzed, { emits: [Seen], start: "first", retry: [] }, ({ id, data }, ctx) => {
    ctx.emit(Seen, { id, text: String(JSON.stringify(data)).slice(0, 100) });
  });
  export const latest = projection("latest", {
    from: [Fuzzed],
    retry: [],
    key: (e) => e.id,
    apply: (state, e) => ({ ...state, ...e.data, source: e.source }),
  });
`;
const neighbour = `
  import { event, on, Type } from "eddyline";
  const At = Type.Object({ at: Type.Number() });
  const Good = event("com.acme.good", At);
  const Done = event("com.acme.done", At);
  export const relay = on(Good, { emits: [Done], start: "first" }, ({ data }, ctx) => ctx.emit(Done, data));
`;

/** An event that stood behind one poison event would wait for a retry (1 s), a deadline (30 s) or an ack wait (60 s).
 * Sharing two cores and the disk with the flood costs far less, but tests run side by side. */
const lateMs = 20_000;
const trickleMs = 20;
const settledMs = 400_000; // on a machine of its own a tenth of it

/** What once broke something. Blanks by the ten thousand stood in one value, and each decoding took seconds. */
function kept(): RawMessage[] {
  const file = readFileSync(new URL("../seeds/messages.json", import.meta.url), "utf8");
  const found: { key: string; headers?: string; data: string }[] = JSON.parse(file);
  const blanks = " ".repeat(50_000);
  const slow = `NATS/1.0\r\nce-id: a${blanks}b\r\n\r\n`;
  return [
    ...found.map(({ data, ...rest }) => ({ ...rest, data: Buffer.from(data, "base64") })),
    { key: "seed", headers: slow, data: Buffer.from("{}") },
  ];
}

test("P1 P4: each of thousands of generated messages is handled, a duplicate or dead; the process stands, a neighbour is not late", async (t) => {
  t.diagnostic(`seed ${seed}; the same again: ${again}`);
  await using world = await startWorld(
    { "fuzzed.ts": fuzzed, "neighbour.ts": neighbour },
    { sync: "default" },
  );
  await using node = await world.start({ env: { EDDY_LOG_LEVEL: "error" } });
  using trickle = startTrickle(world.nc);
  const sent = [...kept(), ...fc.sample(anyMessage(type), { numRuns: messages, seed })];
  const stored = await flood(await world.nats.connect(), sent);
  const delivered = stored.filter(isForHandlers).length;
  await eventually(() => world.settled(), { timeoutMs: settledMs });
  const late = await trickle.stop(); // it ran as long as the flood did
  const rows = await world.settled();

  t.diagnostic(`${sent.length} sent, ${stored.length} stored, ${delivered} for the handlers`);
  t.diagnostic(`neighbour: ${late.count} events, p50 ${late.p50} ms, p99 ${late.p99} ms`);
  assert.ok(delivered > messages * 0.8, `only ${delivered} reached the handlers`);
  for (const name of ["fuzzed.see", "latest"]) {
    const row = rows.get(name);
    t.diagnostic(JSON.stringify(row));
    assert.equal(row?.delivered, delivered, `${name}: ${again}`);
    assert.equal(row.duplicate, repeats(stored), `${name}: ${again}`);
    assert.ok(row.handled > 0 && row.dead > 0);
    const letters = await eddyJson<unknown[]>(world.nats, "dead", "list", "--handler", name);
    assert.equal(letters.length, row.dead);
  }
  const found = await eddyJson<{ findings: unknown[] }[]>(world.nats, "reconcile");
  assert.deepEqual(
    found.flatMap(({ findings }) => findings),
    [],
    again,
  );
  assert.equal((await node.readiness()).status, 200, again);
  assert.doesNotMatch(node.output(), /EDDY_INTERNAL|This is a bug|Error: bug/, again);
  const { delivered: good = 0, handled } = rows.get("neighbour.relay") ?? {};
  assert.ok(
    good >= late.count && handled === good,
    `${late.count} acknowledged, ${good}, ${handled}`,
  );
  assert.ok(late.p99 < lateMs, `p99 is ${late.p99} ms: ${again}`);
});

test("P2: the log's reader finds the identity with which a handler gets the event", () => {
  fc.assert(
    fc.property(anyMessage(type), ({ headers, data }) => {
      const block = Buffer.from(headers ?? "", "latin1");
      const raw = Buffer.concat([block, data]);
      const decoded = decodeStored(raw, block.byteLength);
      if (!decoded.ok) return;
      const found = peekIdentity(raw, block.byteLength);
      assert.deepEqual([found?.source, found?.id], [decoded.event.source, decoded.event.id]);
    }),
    { numRuns: 2_000, seed },
  );
});

/** The others are on a subject with one more token: in the log, but not of the type. */
const isForHandlers = ({ key }: RawMessage) => !key.includes(".");

/** How many of the handlers' messages bear an identity that an earlier message bears. */
function repeats(stored: readonly RawMessage[]): number {
  const known = new Set<string>();
  return stored.filter((message) => {
    const { headers, data } = message;
    const block = Buffer.from(headers ?? "", "latin1");
    const decoded = decodeStored(Buffer.concat([block, data]), block.byteLength);
    if (!decoded.ok) return false;
    const identity = JSON.stringify([decoded.event.source, decoded.event.id]);
    if (known.has(identity)) return isForHandlers(message);
    known.add(identity);
    return false;
  }).length;
}

/** A good event now and then, until it is stopped: how long each took to its effect. */
function startTrickle(nc: NatsConnection) {
  const took: number[] = [];
  let count = 0;
  const done = nc.subscribe("events.com.acme.done.>", {
    callback: (_, message) => {
      took.push(Date.now() - message.json<{ at: number }>().at);
    },
  });
  const js = jetstream(nc);
  let open = 0;
  let next = 0;
  const timer = setInterval(() => {
    const lines = headers();
    const attributes = {
      specversion: "1.0",
      id: `g${next++}`,
      source: "/good",
      type: "com.acme.good",
    };
    for (const [name, value] of Object.entries(attributes)) lines.set(`ce-${name}`, value);
    open++;
    js.publish("events.com.acme.good.k", JSON.stringify({ at: Date.now() }), { headers: lines })
      .then(() => count++) // what a busy server did not take is nobody's
      .catch(() => {})
      .finally(() => open--);
  }, trickleMs);
  return {
    [Symbol.dispose]: () => clearInterval(timer),
    async stop() {
      clearInterval(timer);
      await eventually(() => open === 0 && took.length >= count, {
        what: "that the neighbour is done",
        timeoutMs: 30_000,
      });
      done.unsubscribe();
      took.sort((a, b) => a - b);
      const at = (part: number) => took[Math.floor((took.length - 1) * part)] ?? 0;
      return { count, p50: at(0.5), p99: at(0.99) };
    },
  };
}

const inFlightMax = 256;

/** Publishes pipelined, as bytes; gives back what the server took, in the order of the log. */
async function flood(nc: NatsConnection, sent: readonly RawMessage[]): Promise<RawMessage[]> {
  const inbox = `_INBOX.fuzz${seed}`;
  const taken = new Set<RawMessage>();
  let answered = 0;
  let wake = () => {};
  nc.subscribe(`${inbox}.*`, {
    callback: (_, message) => {
      answered++;
      const about = sent[Number(message.subject.slice(inbox.length + 1))];
      const { error } =
        message.data.length > 0 ? message.json<{ error?: unknown }>() : { error: 1 };
      if (about !== undefined && error === undefined) taken.add(about);
      wake();
    },
  });
  for (const [n, { key, headers: block, data }] of sent.entries()) {
    const bytes = block === undefined ? undefined : Buffer.from(block, "latin1");
    const options =
      bytes === undefined ? {} : { headers: Object.assign(headers(), { encode: () => bytes }) };
    nc.publish(`events.${type}.${key}`, data, { ...options, reply: `${inbox}.${n}` });
    while (n + 1 - answered >= inFlightMax) await new Promise<void>((resolve) => (wake = resolve));
  }
  await eventually(() => answered === sent.length, {
    timeoutMs: settledMs,
    what: "that all are answered",
  });
  return sent.filter((message) => taken.has(message));
}
