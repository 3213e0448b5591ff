// The thread of an isolated module: loads its code, says what it declares, and answers calls until it is ended.
// W1 What a handler leaves behind that fails later is reported and ends nothing, as outside of a thread.
import { type MessagePort, workerData } from "node:worker_threads";
import { evaluate } from "../evaluate.ts";
import { createCalls } from "./calls.ts";
import { describe } from "./describe.ts";
import { createOutbox } from "./outbox.ts";
import type { ThreadData, ToThread } from "./protocol.ts";
import { toWire } from "./thrown.ts";

const { shared, compiled, port }: ThreadData & { port: MessagePort } = workerData;
Reflect.deleteProperty(workerData, "port"); // a handler that finds it could speak in our name

const outbox = createOutbox((parcel, bytes) => port.postMessage(parcel, [bytes]));
process.on("exit", outbox.flush);
const onStray = (thrown: unknown) => outbox.say({ kind: "stray", error: toWire(thrown) });
process.on("unhandledRejection", onStray);
process.on("uncaughtException", onStray);

try {
  const { declarations, description } = describe(evaluate(compiled));
  const calls = createCalls(declarations, compiled.version, new Int32Array(shared), outbox);
  port.on("message", (message: ToThread) => calls.take(message));
  outbox.say({ kind: "loaded", description });
} catch (thrown) {
  outbox.say({ kind: "failed", error: toWire(thrown) });
}
try {
  outbox.flush();
} catch (thrown) {
  // A declaration that holds a function where data belongs, such as a schema with one as its default.
  outbox.say({ kind: "failed", error: toWire(thrown) });
  outbox.flush();
}
