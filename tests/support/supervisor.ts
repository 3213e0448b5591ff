// What a container platform does with a runtime: starts it again when it has ended, and kills it when its liveness
// probe does not answer.
import { eventually } from "./eventually.ts";
import type { TestNode } from "./node.ts";
import type { World } from "./world.ts";

export interface Supervisor extends AsyncDisposable {
  /** How often it has ended. */
  readonly deaths: number;
  /** Everything that its processes have written, in order. */
  output(): string;
}

const probeMs = { every: 250, timeout: 1_500, grace: 8_000 };

/** Resolves once the first process is ready. */
export async function supervise(
  world: World,
  env: Readonly<Record<string, string>> = {},
): Promise<Supervisor> {
  const nodes: TestNode[] = [];
  let deaths = 0;
  let done = false;
  const loop = run();

  async function run(): Promise<void> {
    while (!done) {
      const node = await world.start({ ready: false, env });
      nodes.push(node);
      if (done) await node.kill();
      const probe = keepProbing(node);
      await node.ended;
      clearInterval(probe);
      if (!done) deaths++;
    }
  }

  function keepProbing(node: TestNode): NodeJS.Timeout {
    const began = Date.now();
    let healthy = false;
    return setInterval(async () => {
      const signal = AbortSignal.timeout(probeMs.timeout);
      const alive = await fetch(`${node.url}/healthz`, { signal }).then(
        ({ ok }) => ok,
        () => false,
      );
      healthy ||= alive;
      if (!alive && (healthy || Date.now() - began > probeMs.grace)) await node.kill();
    }, probeMs.every);
  }

  await eventually(async () => (await nodes.at(-1)?.readiness())?.status === 200, {
    timeoutMs: 20_000,
    what: "that the first process is ready",
  });
  return {
    get deaths() {
      return deaths;
    },
    output: () => nodes.map((node) => node.output()).join(""),
    async [Symbol.asyncDispose]() {
      done = true;
      await nodes.at(-1)?.kill();
      await loop;
    },
  };
}
