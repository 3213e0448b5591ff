// `ctx.get` and `ctx.read` inside a thread: asks the main thread, which has the connection.
import type { ReadEntry } from "../../pipeline/index.ts";
import type { Outbox } from "./outbox.ts";
import type { ToThread } from "./protocol.ts";
import { fromWire } from "./thrown.ts";

type Answer = Extract<ToThread, { kind: "entry" | "noEntry" }>;

export interface EntryReader {
  readonly read: ReadEntry;
  take(answer: Answer): void;
}

export function createEntryReader(outbox: Outbox): EntryReader {
  const open = new Map<number, (answer: Answer) => void>();
  let last = 0;
  return {
    read(what) {
      const asked = ++last;
      return new Promise((resolve, reject) => {
        open.set(asked, (answer) => {
          if (answer.kind === "noEntry") reject(fromWire(answer.error));
          else resolve({ value: undefined, ...JSON.parse(answer.json) });
        });
        outbox.say({ kind: "get", asked, what });
      });
    },
    take(answer) {
      open.get(answer.asked)?.(answer);
      open.delete(answer.asked);
    },
  };
}
