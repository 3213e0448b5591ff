// A rebuild of a projection that is fed from the home stream and from another one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { eddyJson, runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { addHub, hubRoot, hubStream, untilHubHas } from "../support/hub.ts";
import { startWorld, type TestEvent, type World } from "../support/world.ts";

const type = "com.acme.part.counted";
const count = 2_000; // in each stream
const keys = 1_500;

/** Which version has folded it, from how many events, and what came last in each stream: of some keys both have some.
 * The first one cannot fold an event of the hub's. */
const parts = (version: number, options = "") => `
import { event, Permanent, projection, Type } from "eddyline";
const Counted = event("${type}", Type.Object({ n: Type.Integer() }));
export const parts = projection("parts", {
  from: [Counted],
  streams: ["${hubStream}"],
  key: (e) => e.subject ?? "",
  retry: [], ${options}
  apply: (state, { source, data: { n } }) => {
    if (${version} === 1 && source === "/hub" && n === 5) throw new Permanent("not this one");
    const [events, sum] = [(state?.events ?? 0) + 1, (state?.sum ?? 0) + n];
    return { ...state, version: ${version}, events, sum, [source]: n };
  },
  state: Type.Object({ version: Type.Literal(${version}), events: Type.Integer(), sum: Type.Integer() }),
});
`;

type Entry = Record<string, number>;

const home = (n: number) => counted("/here", n, `k${n % keys}`);
const hub = (n: number) => counted("/hub", n, `k${1_000 + (n % keys)}`);

function counted(source: string, n: number, subject: string): TestEvent {
  return { id: `e${n}`, source, type, subject, data: { n } };
}

function fold(version: number, events: readonly TestEvent[]): Map<string, Entry> {
  const found = new Map<string, Entry>();
  for (const { source = "", subject = "", data } of events) {
    const n: number = Object(data).n;
    const { events = 0, sum = 0, ...last } = found.get(subject) ?? {};
    found.set(subject, { ...last, version, events: events + 1, sum: sum + n, [source]: n });
  }
  return found;
}

async function entriesOf({ nc }: World): Promise<Map<string, Entry>> {
  const jsm = await jetstreamManager(nc);
  const { state } = await jsm.streams.info("KV_parts", { subjects_filter: "$KV.parts.>" });
  const read = Object.keys(state.subjects ?? {}).map(async (subject): Promise<[string, Entry]> => {
    const message = await jsm.direct.getMessage("KV_parts", { last_by_subj: subject });
    return [subject.slice("$KV.parts.".length), message?.json() ?? {}];
  });
  return new Map(await Promise.all(read));
}

async function shows(world: World, expected: Map<string, Entry>): Promise<void> {
  const same = async () => {
    const entries = await entriesOf(world);
    // One at a time: how so many differ takes minutes to tell.
    for (const [key, entry] of expected) assert.deepEqual(entries.get(key), entry, key);
    assert.equal(entries.size, expected.size);
    return true;
  };
  await eventually(same, { timeoutMs: 30_000 });
}

const range = (from: number, to: number, eventOf: (n: number) => TestEvent) =>
  Array.from({ length: to - from }, (_, i) => eventOf(from + i));

test("R1 R2: rebuilt under load, it is what a fold of both streams gives, each event once, and a letter of either is mended; so it is when a node starts with a new version", async () => {
  await using world = await startWorld({ "parts.ts": parts(1) }, { sync: "default" });
  await addHub(world.nc);
  const node = await world.start();
  const all = [...range(0, count, home), ...range(0, count, hub)];
  const repeats = [home(7), home(8)];
  await Promise.all([
    world.produce(range(0, count, home)).then(() => world.produce(repeats)),
    world.produceOn(hubRoot, range(0, count, hub)).then(() => world.produceOn(hubRoot, [hub(7)])),
  ]);
  await untilHubHas(world.nc, count + 1);
  await shows(world, fold(1, all.toSpliced(count + 5, 1)));
  const letters = () => eddyJson<unknown[]>(world.nats, "dead", "list");
  assert.equal((await letters()).length, 1);

  let going = true;
  const producing = (async () => {
    for (let n = count; going; n += 20) {
      const more = [range(n, n + 20, home), range(n, n + 20, hub)] as const;
      await Promise.all([world.produce(more[0]), world.produceOn(hubRoot, more[1])]);
      all.push(...more.flat());
      await pause(20);
    }
  })();
  world.write("parts.ts", parts(2));
  await eventually(() => node.output().includes("EDDY_PROJECTION_CHANGED"), { timeoutMs: 20_000 });
  const asked = ["projection", "rebuild", "parts", "--json"];
  const { code, out, err } = await runEddy(asked, { EDDY_NATS_SERVERS: world.nats.url });
  assert.equal(code, 0, err);
  await pause(200); // some more of the new version
  going = false;
  await producing;
  assert.equal(JSON.parse(out).entries, 2_500);
  assert.ok(JSON.parse(out).events >= 2 * count);
  await shows(world, fold(2, all));
  assert.deepEqual(await letters(), []);
  await node.stop();

  world.write("parts.ts", parts(3, 'rebuild: "auto",'));
  await using _again = await world.start();
  await shows(world, fold(3, all));
});
