// scaling: the runtime against itself. More handlers, keys, lanes, or history must not make an event dearer.
import { fill, measuredEvent } from "../backlog.ts";
import type { Bench, Contest } from "../measure.ts";
import { atLeast } from "../row.ts";
import type { Template } from "../stores.ts";
import type { IdentitiesTask } from "../workers/identities.ts";
import { type Drain, drain } from "./drain.ts";

type Shape = Partial<Drain>;

export function scalingContests(bench: Bench): Contest[] {
  const { quick, events } = bench;
  const many = quick ? events : 1_000_000;
  const behind = quick ? 4_000 : 10_000_000;
  return [
    contest(bench, "1 to 100 handlers, each of its own type", {}, { handlers: 100, types: 100 }),
    contest(bench, "1 to 100 handlers of one type", {}, { handlers: 100, backlog: events / 20 }),
    contest(
      bench,
      `${counted(1_000)} to ${counted(many)} keys`,
      { backlog: many },
      { backlog: many, keys: many },
    ),
    contest(bench, "1 to 10,000 lanes", { keys: 1 }, { keys: 10_000 }),
    contest(
      bench,
      `empty to ${counted(behind)} events behind`,
      { from: behindOf(bench, 0) },
      { from: behindOf(bench, behind) },
    ),
  ];
}

function contest(bench: Bench, name: string, before: Shape, after: Shape): Contest {
  const common = { worker: "runtime", sync: "default", does: "nothing" } as const;
  return {
    rows: [
      {
        name: `scaling, ${name}`,
        ours: "after",
        reference: "before",
        measure: "rate",
        unit: "events/s",
        goal: atLeast(0.9),
      },
    ],
    measure: (way, run) => drain(bench, run, { ...common, ...(way === "after" ? after : before) }),
  };
}

/**
 * A node that has seen so many events of other types (their identities are in blocks) and stood still while the
 * backlog came: what it drains has all of that behind it.
 */
function behindOf(bench: Bench, behind: number): NonNullable<Drain["from"]> {
  const { events, workers } = bench;
  const template: Template = {
    name: `behind ${behind}`,
    async make(server) {
      await fill(server.url, behind, (n) => ({
        ...measuredEvent(n, 1_000),
        ...{ id: `other-${n}`, type: "com.acme.other", data: { n, pad: "" } },
      }));
      await fill(server.url, 1, () => ({ ...measuredEvent(0, 1), id: "last" }));
      const task: IdentitiesTask = { url: server.url, app, identities: 0, handlers: 1, handled: 1 };
      await workers.run("identities", task);
      await fill(server.url, events, (n) => measuredEvent(n, 1_000));
    },
  };
  return { template, app };
}

const app = "behind";

function counted(n: number): string {
  return n.toLocaleString("en-US");
}
