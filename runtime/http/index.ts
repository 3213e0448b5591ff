// HTTP: events in (CloudEvents, webhooks), projections out, and what operators ask. Everything behind it is a port.
export { createApp } from "./app.ts";
export type { HttpPorts } from "./ports.ts";
export { type HttpServer, serveHttp } from "./server.ts";
