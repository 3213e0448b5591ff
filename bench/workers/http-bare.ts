// A bare hono route: parses the body, awaits `js.publish`, answers. It looks at nothing and dedupes nothing.
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { connectBroker } from "../../runtime/broker/index.ts";
import { home } from "../backlog.ts";
import type { HttpTask } from "./http-node.ts";
import { taskOf } from "./task.ts";

const { url } = taskOf<HttpTask>();
const broker = await connectBroker(
  { servers: [url], name: "bare", timeoutMs: 5_000 },
  { app: "bare", home },
);
const app = new Hono();
app.post("/events", async (context) => {
  const event = await context.req.json<{ type: string; subject: string }>();
  const { stream, seq } = await broker.js.publish(
    `events.${event.type}.${event.subject}`,
    JSON.stringify(event),
  );
  return context.json({ events: [{ stream, seq }] }, 202);
});
serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) =>
  console.log(`http://127.0.0.1:${port}`),
);
