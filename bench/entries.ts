// A bucket as a projection leaves it: entries of 300 bytes, and its cursor.

import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { bucketConfig, connectBroker, ensureStream } from "../runtime/broker/index.ts";
import { home } from "./backlog.ts";
import type { Template } from "./stores.ts";

export const bucket = "read";

export function entriesTemplate(entries: number): Template {
  return {
    name: `entries ${entries}`,
    async make({ url }) {
      const broker = await connectBroker(
        { servers: [url], name: "entries", timeoutMs: 5_000 },
        { app: "entries", home },
      );
      await ensureStream(broker.jsm, bucketConfig(bucket));
      await jetstream(broker.nc).publish(`cursor.${bucket}`, "");
      const kv = await new Kvm(broker.nc).open(bucket);
      for (let from = 0; from < entries; from += 500) {
        const some = Array.from({ length: Math.min(500, entries - from) }, (_, at) => from + at);
        await Promise.all(some.map((n) => kv.put(String(n), JSON.stringify(entryOf(n)))));
      }
      await broker.close();
    },
  };
}

function entryOf(n: number) {
  return { n, text: "x".repeat(280) };
}
