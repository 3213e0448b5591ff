// The bucket of a projection: made where it is missing, and taken over where somebody else has made it.
// B1 Entries that no projection has folded are never taken for its own, and never overwritten.
import {
  type Broker,
  bucketConfig,
  ensureStream,
  type StreamInfo,
  streamInfo,
} from "../broker/index.ts";
import { EddyError } from "../events/index.ts";
import type { Report } from "../pipeline/index.ts";

/**
 * Gives its stream.
 * @throws EddyError `EDDY_BUCKET_FOREIGN` where it holds what is not the projection's, `EDDY_STREAM_UNFIT` where its
 * settings cannot be changed.
 */
export async function ensureBucket(
  broker: Broker,
  name: string,
  report: Report,
): Promise<StreamInfo> {
  const wanted = bucketConfig(name);
  const present = await streamInfo(broker.jsm, wanted.name);
  if (present !== undefined && isForeign(present, name) && present.state.messages > 0) {
    throw foreign(name, present.state.messages);
  }
  const bucket = await ensureStream(broker.jsm, wanted);
  const adopted = present === undefined ? [] : adoptions(present, name);
  if (adopted.length === 0) return bucket;
  const about = { code: "EDDY_BUCKET_ADOPTED", about: `bucket ${name}` };
  const message = `bucket ${name} was made by somebody else and is the projection's now: ${adopted.join("; ")}`;
  report({ kind: "trouble", ...about, message });
  report({ kind: "mended", ...about, message: `bucket ${name} is as a projection needs it` });
  return bucket;
}

function isForeign({ config }: StreamInfo, name: string): boolean {
  return !config.subjects.includes(`cursor.${name}`);
}

function adoptions(present: StreamInfo, name: string): string[] {
  const { max_msgs_per_subject: history, max_age } = present.config;
  return [
    ...(isForeign(present, name) ? ["it had no subject for the projection's cursor"] : []),
    ...(history === 1
      ? []
      : [
          `it kept ${history < 1 ? "all" : history} revisions of an entry, and keeps the last one from now on`,
        ]),
    ...(max_age === 0
      ? []
      : ["its entries expire (max_age), which a projection does not know of: set it to 0"]),
  ];
}

function foreign(name: string, messages: number): EddyError {
  return new EddyError(
    "EDDY_BUCKET_FOREIGN",
    `the bucket ${name} holds ${messages} messages and no cursor of a projection: somebody else keeps something in it. ` +
      "Nothing was changed. Give the projection another name, or remove the bucket; it is looked at again and again",
    { projection: name },
  );
}
