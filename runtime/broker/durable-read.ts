// Reading a durable consumer with the client's callback, and noticing within seconds when that has come to an end.
import type { JsMsg } from "./client.ts";
import type { Broker } from "./connect.ts";
import { isMissing } from "./ordered.ts";

export interface DurableRead {
  /** Resolves to the reason once nothing will come any more; never after `stop`. */
  readonly broken: Promise<string>;
  stop(): void;
}

const silentHeartbeats = 3; // the client pulls anew after each two; a third says that nobody is there

/** Starts to read. What `onMessage` throws ends it. */
export async function readDurable(
  broker: Broker,
  stream: string,
  name: string,
  onMessage: (message: JsMsg) => void,
): Promise<DurableRead> {
  const consumer = await broker.js.consumers.get(stream, name);
  const messages = await consumer.consume({
    max_messages: 2_000,
    expires: 5_000,
    idle_heartbeat: 1_000,
    abort_on_missing_resource: true,
    callback: onMessage,
  });
  const broken = new Promise<string>((resolve) => {
    void messages.closed().then((error) => {
      if (error instanceof Error) resolve(error.message);
    });
    void (async () => {
      for await (const status of messages.status()) {
        if (isMissing(status)) resolve(`its consumer is gone (${status.type})`);
        else if (status.type === "heartbeats_missed" && status.count >= silentHeartbeats)
          resolve("no heartbeats from the server");
      }
    })();
  });
  return { broken, stop: () => messages.stop() };
}
