// The runtime with handlers in its own thread.
import { declarationOf } from "./node-pipeline.ts";
import { drainWith } from "./runtime-drain.ts";

await drainWith(({ does, handlers, types }) =>
  Array.from({ length: handlers }, (_, at) => ({
    name: does === "fold" ? "folded" : `handler${at}`,
    file: "bench",
    version: "0",
    declaration: declarationOf(does, at % types),
  })),
);
