// Emits one event for each that comes, until it is killed: the runtime, or the idiomatic loop.
import { connectBroker } from "../../runtime/broker/index.ts";
import { home } from "../backlog.ts";
import { idiomaticLoop, publishing } from "./idiomatic-loop.ts";
import { declarationOf, startNodePipeline } from "./node-pipeline.ts";
import { taskOf } from "./task.ts";

export interface RelayTask {
  readonly url: string;
  readonly way: "runtime" | "idiomatic";
}

const { url, way } = taskOf<RelayTask>();
const broker = await connectBroker(
  { servers: [url], name: way, timeoutMs: 5_000 },
  { app: way, home },
);
if (way === "runtime") {
  const pipeline = await startNodePipeline(broker, () => {});
  const declaration = declarationOf("emit", 0);
  await pipeline.apply([{ name: "handler", file: "bench", version: "0", declaration }]);
} else {
  const forever = Number.POSITIVE_INFINITY;
  void idiomaticLoop(broker, way, forever, publishing(broker), () => {});
}
console.log("relaying");
