// identities: what a million of them take in memory, once for all handlers, and when a node that finds them in blocks
// and a tail is ready.
import { backlogOf, fill, measuredEvent, typeOf } from "../backlog.ts";
import type { Bench, Contest } from "../measure.ts";
import { atMost } from "../row.ts";
import type { Template } from "../stores.ts";
import type { IdentitiesTask } from "../workers/identities.ts";
import type { Workers } from "../workers.ts";

const handlers = 50;
const bytesMax = 32;
const readyMsMax = 1_000;
const tailMax = 10_000;

export function identitiesContests(bench: Bench): Contest[] {
  const count = bench.quick ? 5_000 : 1_000_000;
  const name = `identities, ${count.toLocaleString("en-US")}, ${handlers} handlers`;
  const ours = "runtime";
  const goal = atMost(1);
  return [
    {
      rows: [
        {
          ...{ name: `${name}: bytes each`, ours, reference: bytesMax },
          ...{ measure: "bytesEach", unit: "bytes", goal },
        },
        {
          ...{ name: `${name}: ready`, ours, reference: readyMsMax },
          ...{ measure: "readyMs", unit: "ms", goal },
        },
      ],
      async measure() {
        const template = remembered(bench.workers, count);
        await using server = await bench.stores.start(template, "default");
        const task = taskFor(server.url, count, 0);
        return await bench.workers.run<Record<string, number>>("identities", task);
      },
    },
  ];
}

/** A stream whose events all handlers have handled, their identities in blocks; and a tail that nobody has seen. */
function remembered(workers: Workers, count: number): Template {
  const tail = Math.min(tailMax, count / 2);
  const seen = count - tail;
  return {
    name: `identities ${count}`,
    async make(server) {
      await backlogOf({ events: seen, keys: 1_000, types: handlers }).make(server);
      await workers.run("identities", taskFor(server.url, seen, seen));
      await fill(server.url, tail, (n) => {
        return { ...measuredEvent(seen + n, 1_000), type: typeOf(n % handlers) };
      });
    },
  };
}

function taskFor(url: string, identities: number, handled: number): IdentitiesTask {
  return { url, app: "identities", identities, handlers, handled };
}
