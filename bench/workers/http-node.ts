// A node as `eddy start` makes it, without handlers: its `POST /events` is measured.
import { loadConfig, startNode } from "../../runtime/host/index.ts";
import { createLogger } from "../../runtime/observe/index.ts";
import { taskOf } from "./task.ts";

export interface HttpTask {
  readonly url: string;
  /** An empty folder: there are no handlers. */
  readonly handlers: string;
}

const { url, handlers } = taskOf<HttpTask>();
const env = {
  EDDY_NATS_SERVERS: url,
  EDDY_HANDLERS: handlers,
  EDDY_HTTP_PORT: "0",
  EDDY_HTTP_HOST: "127.0.0.1",
};
const log = createLogger({ level: "warn", format: "json" }, process.stderr);
const node = await startNode(loadConfig({ env }), { log });
await node.started;
console.log(node.url);
