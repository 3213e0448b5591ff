// The producer: sends a plan key by key, each event until the server has it.
// L1 The next event of a key is sent when the one before was acknowledged: the log has each key in order.
// L2 What was not answered is sent again: it may stand in the log twice, as any producer's does.
import { setTimeout as sleep } from "node:timers/promises";
import { jetstream } from "@nats-io/jetstream";
import { headers, type MsgHdrs, type NatsConnection } from "nats";
import type { Plan, Planned } from "./model.ts";

export const types = {
  placed: "com.acme.load.placed",
  noted: "com.acme.load.noted",
  tried: "com.acme.load.tried",
} as const;

const source = "/load";

export interface ProduceOptions {
  /** Sends a second at most; without it as fast as the server takes them. */
  readonly perSecond?: number | undefined;
  /** Gives the server its `Nats-Msg-Id`, so that it drops repeats within its window. */
  readonly msgId?: boolean;
  /** Which numbers of each key, from … to. Default all. */
  readonly part?: readonly [number, number];
}

/** Resolves once all is acknowledged. `onAck` is told of each. */
export async function produce(
  nc: NatsConnection,
  plan: Plan,
  { perSecond, msgId = false, part: [from, to] = [0, Number.POSITIVE_INFINITY] }: ProduceOptions,
  onAck: (event: Planned) => void,
): Promise<void> {
  const js = jetstream(nc);
  const began = performance.now();
  let sent = 0;
  const sendAll = async (sends: readonly Planned[]) => {
    for (const event of sends) {
      if (event.n < from || event.n > to) continue;
      const dueMs = perSecond === undefined ? 0 : (sent++ / perSecond) * 1_000;
      const earlyMs = dueMs - (performance.now() - began);
      if (earlyMs > 1) await sleep(earlyMs);
      const options = { headers: headersOf(event, msgId), timeout: 3_000 };
      const { n, fails, doomed } = event;
      const data = JSON.stringify({ n, fails, doomed });
      while (!(await stored(js.publish(`events.${types.placed}.${event.key}`, data, options)))) {
        if (nc.isClosed()) throw new Error("the producer's connection is closed");
        await sleep(50);
      }
      onAck(event);
    }
  };
  await Promise.all([...plan.sends.values()].map(sendAll));
}

async function stored(publishing: Promise<unknown>): Promise<boolean> {
  return await publishing.then(
    () => true,
    () => false, // no answer, or refused (full, no stream yet): the same again
  );
}

function headersOf({ id, key }: Planned, msgId: boolean): MsgHdrs {
  const lines = headers();
  const attributes = { specversion: "1.0", id, source, type: types.placed, subject: key };
  for (const [name, value] of Object.entries(attributes)) lines.set(`ce-${name}`, value);
  lines.set("content-type", "application/json");
  if (msgId) lines.set("Nats-Msg-Id", `${source} ${id}`);
  return lines;
}
