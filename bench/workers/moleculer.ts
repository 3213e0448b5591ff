// @moleculer/channels drains the backlog with its NATS adapter. Ended with the last call of the handler: its ack is a
// present. Retries and dead letters are on, as they are in the runtime; dedupe and a ledger it does not have.
import { home } from "../backlog.ts";
import { countdown, workOnDrain } from "./drain-task.ts";
import { peer } from "./peer.ts";

interface ServiceBroker {
  createService(schema: object): unknown;
  start(): Promise<void>;
  stop(): Promise<void>;
}

const { ServiceBroker } = await peer<{ ServiceBroker: new (options: object) => ServiceBroker }>(
  "moleculer",
);
const { default: channels } = await peer<{ default: { Middleware(options: object): object } }>(
  "@moleculer/channels",
);

await workOnDrain(async (broker, events, task, begin) => {
  const { tick, over } = countdown(events);
  const url = `nats://${broker.nc.getServer()}`;
  const service = new ServiceBroker({
    nodeID: task.run,
    logger: false,
    middlewares: [
      channels.Middleware({
        adapter: {
          type: "NATS",
          options: {
            maxInFlight: task.inFlight,
            maxRetries: 3,
            deadLettering: { enabled: true, queueName: "FAILED" },
            nats: {
              url,
              streamConfig: { name: home },
              consumerOptions: { config: { deliver_policy: "all" } },
            },
          },
        },
      }),
    ],
  });
  service.createService({
    name: "bench",
    channels: {
      "events.com.acme.measured.t0.*": { group: "bench", handler: () => tick() },
    },
  });
  const end = await begin();
  await service.start();
  await over;
  await end();
  await service.stop();
  return events;
});
