// Stores that hold something before a run, made once and copied for each: every run starts from the same bytes.
import { type BenchServer, type Sync, startServer } from "./server.ts";

export interface Template {
  /** What it holds; templates of one name are one. */
  readonly name: string;
  make(server: { readonly url: string }): Promise<void>;
}

export interface Stores extends AsyncDisposable {
  /** A server on a copy of what the template has made. */
  start(template: Template, sync: Sync): Promise<BenchServer>;
}

export function createStores(): Stores {
  const made = new Map<string, Promise<BenchServer>>();
  return {
    async start(template, sync) {
      const original = made.get(template.name) ?? make(template);
      made.set(template.name, original);
      return await startServer({ sync, from: (await original).storeDir });
    },
    async [Symbol.asyncDispose]() {
      for (const original of made.values()) await (await original)[Symbol.asyncDispose]();
    },
  };
}

async function make(template: Template): Promise<BenchServer> {
  const server = await startServer({ sync: "default" });
  await template.make(server);
  await server.stop();
  return server;
}
