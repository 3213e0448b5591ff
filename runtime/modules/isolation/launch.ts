// Starts a worker thread with a module's code, and says how it ended. Owns the Worker and its port.
// L1 A start comes to an end: loaded, or why not. L2 All that the thread has said is heard before its end is.
import { MessageChannel, receiveMessageOnPort, Worker } from "node:worker_threads";
import { describeThrown, EddyError } from "../../events/index.ts";
import type { Evaluable } from "../evaluate.ts";
import type { WorkerCode } from "../worker-code.ts";
import {
  type Description,
  type FromThread,
  type Parcelled,
  sharedBytes,
  type ThreadData,
  type ToThread,
} from "./protocol.ts";
import { fromWire } from "./thrown.ts";

export interface ThreadSpec {
  /** What a thread starts with. */
  readonly worker: WorkerCode;
  readonly compiled: Evaluable & { readonly version: string };
  /** Of its JavaScript heap. */
  readonly memoryBytes: number;
}

/** Why a thread is no more. */
export type End =
  | { readonly kind: "memory" }
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "failed"; readonly error: unknown };

export interface Running {
  readonly description: Description;
  readonly shared: Int32Array;
  readonly ended: Promise<End>;
  post(message: ToThread, bytes?: ArrayBuffer): void;
  terminate(): Promise<void>;
}

const loadMsMax = 30_000; // the code itself has 5 s (evaluate); the rest is for a busy machine
const terminateMsMax = 2_000;

/** @throws what the module threw; EddyError where its thread ended, or did not come to an end. */
export async function launch(
  spec: ThreadSpec,
  onSaid: (items: readonly FromThread[], bytes: Uint8Array) => void,
): Promise<Running> {
  const { port1: port, port2 } = new MessageChannel();
  const shared = new SharedArrayBuffer(sharedBytes);
  const data: ThreadData = { shared, compiled: plain(spec.compiled) };
  const { worker: start } = spec;
  const worker = new Worker("file" in start ? start.file : start.code, {
    eval: !("file" in start),
    workerData: { ...data, port: port2 },
    transferList: [port2],
    execArgv: [], // what is started here needs no loader
    resourceLimits: { maxOldGenerationSizeMb: spec.memoryBytes / 2 ** 20 },
  });
  let description: Description | undefined;
  const loaded = signal<Description>();
  const hear = ({ items, bytes }: Parcelled) => {
    if (description !== undefined) return onSaid(items, bytes);
    for (const item of items) {
      if (item.kind === "failed") loaded.reject(fromWire(item.error));
      if (item.kind === "loaded") {
        description = item.description;
        loaded.resolve(description);
      }
    }
  };
  port.on("message", hear);
  const exited = endOf(worker, () => {
    for (let left = receiveMessageOnPort(port); left; left = receiveMessageOnPort(port)) {
      hear(left.message);
    }
    port.close();
  });
  const ended = signal<End>();
  void exited.then(ended.resolve);
  const terminate = async () => {
    const stuck = setTimeout(() => {
      worker.unref(); // in a call of the operating system; it ends when that returns
      port.close();
      ended.resolve({ kind: "exit", code: 1 });
    }, terminateMsMax);
    void worker.terminate();
    await ended.promise;
    clearTimeout(stuck);
  };
  const { name } = spec.compiled.module;
  void exited.then((end) => loaded.reject(endedWhileLoading(name, end)));
  const timer = setTimeout(() => loaded.reject(endless(name)), loadMsMax);
  try {
    return {
      description: await loaded.promise,
      shared: new Int32Array(shared),
      ended: ended.promise,
      post: (message, bytes) => port.postMessage(message, bytes === undefined ? [] : [bytes]),
      terminate,
    };
  } catch (error) {
    await terminate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** What can be copied to a thread, and no more than it needs. */
function plain({ module, script, version, code, map }: ThreadSpec["compiled"]) {
  return {
    module: { name: module.name, path: module.path },
    script,
    version,
    code,
    map: { folder: map.folder, map: map.map },
  };
}

function endOf(worker: Worker, before: () => void): Promise<End> {
  let failed: End | undefined;
  worker.on("error", (error) => {
    const memory = "code" in error && error.code === "ERR_WORKER_OUT_OF_MEMORY";
    failed = memory ? { kind: "memory" } : { kind: "failed", error };
  });
  return new Promise((resolve) => {
    worker.on("exit", (code) => {
      before();
      resolve(failed ?? { kind: "exit", code });
    });
  });
}

function endedWhileLoading(module: string, end: End): EddyError {
  const code = end.kind === "memory" ? "EDDY_THREAD_MEMORY" : "EDDY_THREAD_EXITED";
  return new EddyError(code, `${module} cannot be loaded: ${endText(end)}`, { module });
}

export function endText(end: End): string {
  switch (end.kind) {
    case "memory":
      return "its thread needed more memory than it may have (folders.*.memory)";
    case "exit":
      return `its thread was ended by process.exit(${end.code})`;
    case "failed":
      return `its thread failed: ${describeThrown(end.error).message}`;
  }
}

function endless(module: string): EddyError {
  const text = `loading ${module} in its thread took longer than ${loadMsMax / 1_000} s`;
  return new EddyError("EDDY_HANDLER_ENDLESS", text, { module });
}

function signal<T>() {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  promise.catch(() => {}); // whoever waits for it sees it
  return {
    promise,
    resolve: (value: T) => resolve(value),
    reject: (error: unknown) => reject(error),
  };
}
