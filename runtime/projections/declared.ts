// Which indexes a projection has now: kept with its bucket, so that whoever reads it needs no code and no node. And the
// header of an entry that says by what it is found, in the entry's own message: one cannot be stored without the other.
import type { JetStreamManager, StreamInfo } from "../broker/index.ts";
import type { HeaderFields } from "../events/index.ts";

const indexesKey = "eddy.indexes"; // metadata of the bucket's stream: names, separated by blanks
/** Header of an entry. */
export const marksName = "Eddy-Index";

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

/** Header lines of an entry with these marks. */
export function marksLines(marks: string): string {
  return marks === "" ? "" : `${marksName}: ${marks}\r\n`;
}

/** What an entry is found by, from its headers; empty where they say nothing. */
export function marksIn(headers: HeaderFields): string {
  return headers.get(marksName.toLowerCase())?.[0] ?? "";
}
