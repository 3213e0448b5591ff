// Starts a pipeline with many handlers on a stream whose identities are in blocks but for a tail, and takes the time
// until all of them run with all identities known.
import { connectBroker } from "../../runtime/broker/index.ts";
import { eventually } from "../../tests/support/eventually.ts";
import { home } from "../backlog.ts";
import { declarationOf, startNodePipeline } from "./node-pipeline.ts";
import { work } from "./task.ts";

export interface IdentitiesTask {
  readonly url: string;
  readonly app: string;
  readonly identities: number;
  readonly handlers: number;
  /** Events that have to be handled, too. */
  readonly handled: number;
}

await work<IdentitiesTask>(async ({ url, app, identities, handlers, handled }) => {
  const broker = await connectBroker(
    { servers: [url], name: "identities", timeoutMs: 5_000 },
    { app, home },
  );
  let outcomes = 0;
  const began = performance.now();
  const pipeline = await startNodePipeline(broker, (fact) => {
    if (fact.kind === "outcome") outcomes++;
  });
  await pipeline.apply(
    Array.from({ length: handlers }, (_, at) => ({
      name: `handler${at}`,
      file: "bench",
      version: "0",
      declaration: declarationOf("nothing", at),
    })),
  );
  await eventually(
    () => {
      const waiting = pipeline.status().filter(({ state }) => state !== "running").length;
      const { size } = pipeline.identities;
      if (waiting > 0 || size < identities || outcomes < handled) {
        throw new Error(`${waiting} wait, ${size} known, ${outcomes} handled`);
      }
      return true;
    },
    { timeoutMs: 900_000, what: "that all handlers run and all identities are known" },
  );
  const readyMs = performance.now() - began;
  const { size, bytes } = pipeline.identities;
  await pipeline.stop(60_000);
  await broker.close();
  return { readyMs, bytesEach: bytes / size };
});
