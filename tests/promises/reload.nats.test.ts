import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { eventually } from "../support/eventually.ts";
import {
  assertOneEffectEach,
  assertOrderPerSubject,
  type LogEntry,
  ofType,
} from "../support/log.ts";
import { countsOf, startWorld, type World } from "../support/world.ts";

const relay = (version: number) => `
import { event, on, Type } from "eddyline";
const Placed = event("com.acme.order.placed", Type.Object({ n: Type.Integer() }));
const Noted = event("com.acme.order.noted", Type.Object({ n: Type.Integer(), version: Type.Integer() }));
export const relay = on(Placed, { emits: [Noted], start: "first" }, async ({ data }, ctx) => {
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
  ctx.emit(Noted, { n: data.n, version: ${version} });
});
`;

const placed = (n: number) => ({
  id: `e${n}`,
  type: "com.acme.order.placed",
  subject: `order-${n % 20}`,
  data: { n },
});

interface Producer extends AsyncDisposable {
  readonly count: number;
  /** Gives how many there were. */
  stop(): Promise<number>;
}

/** Stores events, a few every few milliseconds, until it is told to stop. */
function produceSteadily(world: World): Producer {
  let [count, going] = [0, true];
  const done = (async () => {
    while (going) {
      await world.produce(Array.from({ length: 5 }, (_, i) => placed(count + i)));
      count += 5;
      await new Promise((resolve) => setTimeout(resolve, 5)); // the pace, not a wait
    }
    return count;
  })();
  const stop = () => {
    going = false;
    return done;
  };
  return {
    get count() {
      return count;
    },
    stop,
    [Symbol.asyncDispose]: async () => void (await stop()),
  };
}

const versionOf = ({ data }: LogEntry): number => Reflect.get(Object(data), "version");

/** The data of the newest effect. */
async function newest(world: World): Promise<{ n: number; version: number } | undefined> {
  const jsm = await jetstreamManager(world.nc);
  const last = await jsm.streams.getMessage("EVENTS", {
    last_by_subj: "events.com.acme.order.noted.*",
  });
  return last?.json();
}

function untilVersion(world: World, version: number): Promise<true> {
  return eventually(
    async () => {
      const found = (await newest(world))?.version;
      if (found !== version) throw new Error(`the newest effect is of version ${found}`);
      return true as const;
    },
    { timeoutMs: 15_000, what: `that version ${version} is live` },
  );
}

test("P1 P2 P4: rewritten many times under load a handler loses and doubles no event, a broken version changes nothing, and the last one wins", async () => {
  await using world = await startWorld({ "relay.ts": relay(0) });
  await using node = await world.start();
  await using producer = produceSteadily(world);
  for (let version = 1; version <= 10; version++) {
    world.write("relay.ts", relay(version));
    await untilVersion(world, version);
  }

  world.write("relay.ts", "import { on } from 'eddyline';\nexport const relay = on(;\n");
  const line = await eventually(() => {
    const lines = node.output().split("\n").slice(0, -1);
    return lines.find((line) => line.includes("EDDY_HANDLER_COMPILE"));
  });
  const failure = JSON.parse(line);
  assert.match(failure.file, /handlers\/relay\.ts$/);
  assert.equal(failure.line, 2);
  assert.match(failure.frame, /2 │ export const relay = on\(;/);
  const [name] = failure.running.match(/\S+/) ?? [];
  assert.ok(name, "it says which version runs on");
  const seen = producer.count;
  await eventually(async () => ((await newest(world))?.n ?? 0) > seen + 50);
  assert.equal((await newest(world))?.version, 10);

  for (let version = 11; version <= 40; version++) {
    world.write("relay.ts", relay(version));
    await new Promise((resolve) => setTimeout(resolve, 10)); // a burst of saves, faster than any reload
  }
  await untilVersion(world, 40);
  const total = await producer.stop();
  await world.produce(Array.from({ length: 40 }, (_, i) => placed(total + i)));

  const rows = await world.settled();
  assert.deepEqual(countsOf(rows, "relay.relay"), [total + 40, total + 40, 0, 0]);
  const log = await world.log();
  const effects = ofType(log, "com.acme.order.noted");
  assertOneEffectEach(ofType(log, "com.acme.order.placed"), effects);
  assertOrderPerSubject(effects);
  assert.ok(effects.slice(-40).every((effect) => versionOf(effect) === 40));
  const versions = new Set(effects.map(versionOf));
  for (let version = 1; version <= 10; version++) assert.ok(versions.has(version));
});
