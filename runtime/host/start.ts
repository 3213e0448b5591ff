// Starts a node, or its pipeline alone. Their rooms are loaded only then: commands that want the configuration alone start
// twice as fast.
import type { Broker } from "../broker/index.ts";
import type { Pipeline, Report } from "../pipeline/index.ts";
import type { Node, NodeOptions } from "./assembly.ts";
import type { Config } from "./config.ts";

export async function startNode(config: Config, options: NodeOptions): Promise<Node> {
  const assembly = await import("./assembly.ts");
  return assembly.startNode(config, options);
}

/** The pipeline without the rest of a node, for a command that does its work. */
export async function startPipelineAlone(
  config: Config,
  broker: Broker,
  report: Report,
): Promise<Pipeline> {
  const { makeCore } = await import("./assembly.ts");
  return (await makeCore(config, broker, report, () => [])).pipeline;
}
