// A TCP proxy between a client and a server that a test can make worse: cut, deaf, slow.
// X1 What a connection carried while it was deaf is gone, and so is the connection: neither side is ever told.
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export type Weather =
  | { readonly kind: "open" }
  /** Connections are reset, new ones too. */
  | { readonly kind: "cut" }
  /** Packets vanish, both ways, and nobody is told; new connections get no answer. */
  | { readonly kind: "deaf" }
  | { readonly kind: "slow"; readonly delayMs: number; readonly bytesPerMs: number };

export interface TcpProxy extends AsyncDisposable {
  readonly url: string;
  set(weather: Weather): void;
}

interface Link {
  readonly ends: readonly Socket[];
  deaf: boolean;
}

export async function startProxy(targetPort: number): Promise<TcpProxy> {
  let weather: Weather = { kind: "open" };
  const links = new Set<Link>();
  const server = createServer((client) => {
    if (weather.kind === "cut") return void client.destroy();
    const target = connect({ port: targetPort, host: "127.0.0.1" });
    const link: Link = { ends: [client, target], deaf: weather.kind === "deaf" };
    links.add(link);
    forward(link, client, target);
    forward(link, target, client);
  });

  function forward(link: Link, from: Socket, to: Socket): void {
    let free = 0; // when the line has carried what it was given
    let before: Promise<void> = Promise.resolve();
    from.setNoDelay(true);
    from.on("error", () => {});
    from.on("data", (chunk) => {
      if (link.deaf) return;
      const now = performance.now();
      const { delayMs, bytesPerMs } = weather.kind === "slow" ? weather : noWait;
      free = Math.max(free, now) + chunk.byteLength / bytesPerMs;
      const due = free + delayMs;
      before = before.then(async () => {
        const early = due - performance.now();
        if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
        if (!link.deaf && !to.destroyed) to.write(chunk);
      });
    });
    from.on("close", () => {
      if (link.deaf) return; // X1
      void before.then(() => to.destroy());
      links.delete(link);
    });
  }

  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const drop = () => {
    for (const { ends } of links) for (const end of ends) end.destroy();
    links.clear();
  };
  return {
    url: `nats://127.0.0.1:${port}`,
    set(next) {
      weather = next;
      if (next.kind === "cut") drop();
      if (next.kind === "deaf") for (const link of links) link.deaf = true;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      drop();
    },
  };
}

const noWait = { delayMs: 0, bytesPerMs: Number.POSITIVE_INFINITY };
