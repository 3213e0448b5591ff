// A handlers folder whose module `m` runs in a thread, with what a test needs to call its handlers.
import assert from "node:assert/strict";
import { encodeMessage } from "../../events/index.ts";
import type { Asked, EntryQuery, Fact, RemoteCall, RemoteHandler } from "../../pipeline/index.ts";
import { blank, handlersIn, loadedIn, type Picture, rescan } from "../rescan.ts";
import { createThreads } from "../threads.ts";
import { testFolder } from "./folder.ts";

export interface IsolatedModule extends AsyncDisposable {
  readonly facts: readonly Fact[];
  /** What `ctx.get` finds, by key. */
  readonly entries: Map<string, unknown>;
  write(source: string): Promise<void>;
  /** Looks at the folder; gives its handlers, or rejects with the failure. Old versions retire. */
  load(): Promise<readonly RemoteHandler[]>;
  /** One of them, by the end of its name. */
  find(name: string): Promise<RemoteHandler>;
  /** A call with an event of the type `com.acme.a`. */
  call(data: unknown, deadlineMs?: number): RemoteCall;
  /** Codes of the troubles so far. */
  codes(): string[];
  close(): Promise<void>;
}

/** `A` (com.acme.a) and `B` (com.acme.b) are declared for the source; a call's data says what to `do`. */
export async function isolatedModule(source: string, memoryMiB = 64): Promise<IsolatedModule> {
  const folder = await testFolder({ "m/a.ts": prelude + source });
  const facts: Fact[] = [];
  const report = (fact: Fact) => void facts.push(fact);
  const settings = { isolation: "thread", memoryBytes: memoryMiB * 2 ** 20 } as const;
  const threads = createThreads({ m: settings }, report);
  const entries = new Map<string, unknown>();
  const readEntry = async ({ key, wait, told, local }: Asked) => {
    if (key === "broken") throw new Error("the store is gone");
    if (key === "wait") return { value: wait };
    const value = entries.get(key);
    if (told !== true) return { value };
    return { value, position: { stream: "EVENTS", seq: 7 }, ageMs: local === "all" ? 3 : 0 };
  };
  const findEntries = async (_: string, query: EntryQuery) => {
    return { entries: [{ key: "asked", value: query }] };
  };
  let picture: Picture = blank;
  let seq = 0;

  async function load(): Promise<readonly RemoteHandler[]> {
    const result = await rescan(folder.path, picture, performance.now(), threads);
    picture = result.picture;
    threads.keep(loadedIn(picture));
    for (const report of result.reports) {
      if (report.kind === "failed") throw Object.assign(new Error(), report.failure);
    }
    return handlersIn(picture) as readonly RemoteHandler[];
  }

  function call(data: unknown, deadlineMs = 10_000): RemoteCall {
    const event = {
      specversion: "1.0" as const,
      id: `e${++seq}`,
      source: "/test",
      type: "com.acme.a",
      subject: "s",
      extensions: {},
      datacontenttype: "application/json",
      data,
    };
    const message = encodeMessage(event);
    const original = {
      position: { stream: "EVENTS", seq },
      natsSubject: "events.com.acme.a.s",
      timeMs: 0,
      headers: Buffer.from(`NATS/1.0\r\n${message.headerLines}\r\n`),
      data: message.data,
    };
    const job = { original, event, position: original.position, attempt: 1 };
    return { job, terms: { deadlineMs, source: "/test/m" }, readEntry, findEntries };
  }

  return {
    facts,
    entries,
    write: (text) => folder.write("m/a.ts", prelude + text),
    load,
    async find(name) {
      const found = (await load()).find((handler) => handler.name.endsWith(name));
      assert(found, `there is no ${name}`);
      return found;
    },
    call,
    codes: () => facts.flatMap((fact) => (fact.kind === "trouble" ? [fact.code] : [])),
    close: threads.close,
    async [Symbol.asyncDispose]() {
      await threads.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const prelude = `import { event, on, projection, Permanent, RetryAfter, Type } from "eddyline";
const A = event("com.acme.a", Type.Object({ n: Type.Optional(Type.Integer()), do: Type.Optional(Type.String()) }));
const B = event("com.acme.b", Type.Object({ n: Type.Integer(), pad: Type.Optional(Type.String()) }));
`;
