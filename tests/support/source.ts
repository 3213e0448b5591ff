// A source of truth over HTTP, in the test's process: for each key a version that the test changes, and ways to be no good.
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** How the source answers for a key. */
export type Manner = "true" | "down" | "hangs" | "lies" | "huge" | "another";

export interface TestSource extends AsyncDisposable {
  readonly url: string;
  /** What is true now. */
  readonly versions: Map<string, number>;
  change(key: string): void;
  /** For keys without a manner of their own. */
  manner: Manner;
  readonly manners: Map<string, Manner>;
  /** When each call began, by performance.now(), by key. */
  readonly calls: ReadonlyMap<string, readonly number[]>;
  readonly callCount: number;
  /** The most calls that were under way at once. */
  readonly most: number;
}

export async function startSource(answerMs = 2): Promise<TestSource> {
  const versions = new Map<string, number>();
  const calls = new Map<string, number[]>();
  const manners = new Map<string, Manner>();
  let running = 0;
  let most = 0;
  let callCount = 0;
  const server = createServer((request, response) => {
    const key = decodeURIComponent(request.url?.slice(1) ?? "");
    calls.set(key, [...(calls.get(key) ?? []), performance.now()]);
    callCount++;
    most = Math.max(most, ++running);
    response.once("close", () => running--);
    // What is true is read first: an answer on its way may be overtaken by a change.
    const body = { key, version: versions.get(key) ?? 0 };
    setTimeout(() => answer(response, manners.get(key) ?? source.manner, body), answerMs);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const source: TestSource = {
    url: `http://127.0.0.1:${port}`,
    versions,
    change: (key) => void versions.set(key, (versions.get(key) ?? 0) + 1),
    manner: "true",
    manners,
    calls,
    get callCount() {
      return callCount;
    },
    get most() {
      return most;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return source;
}

function answer(
  response: ServerResponse,
  manner: Manner,
  body: { readonly key: string; readonly version: number },
): void {
  switch (manner) {
    case "true":
      return void response.end(JSON.stringify(body));
    case "down":
      return void response.destroy();
    case "hangs":
      return;
    case "lies":
      return void response.end(JSON.stringify({ ...body, version: "many" }));
    case "another":
      return void response.end(JSON.stringify({ ...body, key: "of-another" }));
    case "huge":
      return void response.end(JSON.stringify({ ...body, rest: "x".repeat(10_000_000) }));
  }
}
