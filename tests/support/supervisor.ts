// What a container platform does with a runtime: starts it again when it has ended, and kills it when it hangs. That it
// hangs is what it says last: a probe that times out would also kill one that is slow on a busy machine.
import { eventually } from "./eventually.ts";
import type { TestNode } from "./node.ts";
import type { World } from "./world.ts";

export interface Supervisor extends AsyncDisposable {
  /** How often it has ended. */
  readonly deaths: number;
  /** Everything that its processes have written, in order. */
  output(): string;
}

/** What a handler writes before it blocks its process for ever. */
export const hanging = "this process hangs from now on";

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
      const watch = killWhenHanging(node);
      await node.ended;
      clearInterval(watch);
      if (!done) deaths++;
    }
  }

  function killWhenHanging(node: TestNode): NodeJS.Timeout {
    return setInterval(() => {
      if (node.output().includes(hanging)) void node.kill();
    }, 50);
  }

  await eventually(async () => (await nodes.at(-1)?.readiness())?.status === 200, {
    timeoutMs: 60_000,
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
