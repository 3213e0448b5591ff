// `ctx.get`, `ctx.read` and `ctx.find` inside a thread: ask the main thread, which has the connection.
import type { Found } from "../../authoring/index.ts";
import type { FindEntries, ReadEntry } from "../../pipeline/index.ts";
import type { Outbox } from "./outbox.ts";
import type { ToThread } from "./protocol.ts";
import { fromWire } from "./thrown.ts";

type Answer = Extract<ToThread, { kind: "entry" | "noEntry" }>;

export interface EntryReader {
  readonly reads: { readonly readEntry: ReadEntry; readonly findEntries: FindEntries };
  take(answer: Answer): void;
}

export function createEntryReader(outbox: Outbox): EntryReader {
  const open = new Map<number, (answer: Answer) => void>();
  let last = 0;

  /** Resolves to the answer's JSON. */
  function ask(say: (asked: number) => void): Promise<string> {
    const asked = ++last;
    return new Promise((resolve, reject) => {
      open.set(asked, (answer) => {
        if (answer.kind === "noEntry") reject(fromWire(answer.error));
        else resolve(answer.json);
      });
      say(asked);
    });
  }

  return {
    reads: {
      async readEntry(what) {
        const json = await ask((asked) => outbox.say({ kind: "get", asked, what }));
        return { value: undefined, ...JSON.parse(json) };
      },
      async findEntries(projection, query) {
        const json = await ask((asked) => outbox.say({ kind: "find", asked, projection, query }));
        return JSON.parse(json) as Found<unknown>;
      },
    },
    take(answer) {
      open.get(answer.asked)?.(answer);
      open.delete(answer.asked);
    },
  };
}
