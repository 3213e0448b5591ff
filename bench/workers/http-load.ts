// Posts events over 64 connections that are kept alive, each of them as soon as the one before was answered.

import { connectBroker } from "../../runtime/broker/index.ts";
import { home, measuredEvent } from "../backlog.ts";
import { peer } from "./peer.ts";
import { work } from "./task.ts";

export interface HttpLoadTask {
  /** Of the HTTP server, and of nats-server. */
  readonly http: string;
  readonly url: string;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

interface Autocannon {
  readonly default: (options: object) => Promise<{
    readonly "2xx": number;
    readonly non2xx: number;
    readonly errors: number;
    readonly duration: number;
  }>;
}

const connections = 64;

const headers = { "content-type": "application/cloudevents+json" };
let sent = 0;

function withNextEvent(request: object): object {
  return { ...request, body: `${beforeId}${sent++}${afterId}` };
}

const [beforeId, afterId] = JSON.stringify({ ...envelope(), id: "ID" }).split("ID");

await work<HttpLoadTask>(async ({ http, url, warmUpSeconds, seconds }) => {
  const { default: autocannon } = await peer<Autocannon>("autocannon");
  const shoot = (duration: number) =>
    autocannon({
      url: `${http}/events`,
      connections,
      duration,
      requests: [{ method: "POST", headers, setupRequest: withNextEvent }],
    });
  const broker = await connectBroker(
    { servers: [url], name: "http-load", timeoutMs: 5_000 },
    { app: "http-load", home },
  );
  const stored = async () => (await broker.jsm.streams.info(home)).state.last_seq;
  if (warmUpSeconds > 0) await shoot(warmUpSeconds);
  const before = await stored();
  const result = await shoot(seconds);
  const after = await stored();
  // Requests that are cut at the end of a run were stored, and not answered.
  const more = after - before - result["2xx"];
  if (result.non2xx + result.errors > 0 || more < 0 || more > 2 * connections) {
    throw new Error(
      `${result["2xx"]} were answered, ${after - before} stored, ${result.non2xx} refused`,
    );
  }
  return { rate: result["2xx"] / result.duration };
});

function envelope() {
  const { extensions: _, ...attributes } = measuredEvent(0, 1);
  return attributes;
}
