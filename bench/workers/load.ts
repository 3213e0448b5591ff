// An open loop: events leave when the clock says so, whatever has become of those before. Each one's time runs from
// the moment when it was to leave, so that a producer or server that falls behind counts, to the arrival of the event
// that was emitted for it, read from the stream: it is stored by then.
import { connectBroker, wireHeaders } from "../../runtime/broker/index.ts";
import { encodeMessage, eventSubject } from "../../runtime/events/index.ts";
import { home, measuredEvent } from "../backlog.ts";
import { work } from "./task.ts";

export interface LoadTask {
  readonly url: string;
  readonly warmUpEvents: number;
  /** Events a second, one after the other. */
  readonly rates: readonly number[];
  readonly seconds: number;
}

/** `p50At500`, `p99At500` and so on, in milliseconds; `missing` and `repeated` events. */
export type LoadResult = Readonly<Record<string, number>>;

const keys = 1_000;
const warmUpRate = 5_000;
/** What takes longer counts as this long: a loop that falls behind for ever still ends. */
const patienceMs = 30_000;

await work<LoadTask>(async ({ url, warmUpEvents, rates, seconds }) => {
  const broker = await connectBroker(
    { servers: [url], name: "load", timeoutMs: 5_000 },
    { app: "load", home },
  );
  const due: number[] = []; // by n
  const took: number[] = [];
  let arrived = 0;
  let repeated = 0;
  const consumer = await broker.js.consumers.get(home, {
    filter_subjects: "events.com.acme.noted.>",
  });
  await consumer.consume({
    max_messages: 5_000,
    callback(message) {
      const { n } = JSON.parse(message.string()) as { n: number };
      if (took[n] !== undefined) return void repeated++;
      took[n] = performance.now() - (due[n] ?? Number.NaN);
      arrived++;
    },
  });

  async function send(rate: number, events: number): Promise<readonly number[]> {
    const first = due.length;
    const began = performance.now();
    while (due.length < first + events) {
      const now = performance.now();
      const until = Math.min(events, Math.floor(((now - began) / 1_000) * rate) + 1);
      for (let at = due.length - first; at < until; at++) {
        publish(first + at);
        due.push(began + (at / rate) * 1_000);
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const deadline = performance.now() + patienceMs;
    while (arrived < due.length && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return Array.from({ length: events }, (_, at) => took[first + at] ?? patienceMs);
  }

  function publish(n: number): void {
    const event = measuredEvent(n, keys);
    const { headerLines, data } = encodeMessage(event);
    const headers = wireHeaders(headerLines);
    broker.nc.publish(eventSubject(event.type, event.subject), data, { headers });
  }

  await send(warmUpRate, warmUpEvents);
  const result: Record<string, number> = {};
  for (const rate of rates) {
    const sorted = (await send(rate, rate * seconds)).toSorted((a, b) => a - b);
    result[`p50At${rate}`] = sorted[Math.floor(sorted.length * 0.5)] ?? Number.NaN;
    result[`p99At${rate}`] = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
  }
  return { ...result, missing: due.length - arrived, repeated } satisfies LoadResult;
});
