// Which indexes a projection has now: kept with its bucket, so that whoever reads it needs no code and no node.
import type { JetStreamManager, StreamInfo } from "../broker/index.ts";

const indexesKey = "eddy.indexes"; // metadata of the bucket's stream: names, separated by blanks

/** The indexes that the projection's handler has declared when it took over last. */
export function declaredIndexes({ config }: StreamInfo): string[] {
  const names = config.metadata?.[indexesKey] ?? "";
  return names.split(" ").filter((name) => name !== "");
}

/** Says from now on that the projection has these indexes. */
export async function declareIndexes(
  jsm: JetStreamManager,
  bucket: StreamInfo,
  names: readonly string[],
): Promise<void> {
  if (declaredIndexes(bucket).join(" ") === names.join(" ")) return;
  const metadata = { ...bucket.config.metadata, [indexesKey]: names.join(" ") };
  await jsm.streams.update(bucket.config.name, { metadata });
}
