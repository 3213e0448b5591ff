// Where a time stands in a stream.
import { AckPolicy, DeliverPolicy, type JetStreamManager, nanos } from "./client.ts";
import type { Broker } from "./connect.ts";
import { streamInfo } from "./streams.ts";

/** The first sequence stored at or after a time; one above the last where there is none yet. */
export async function firstSeqSince(
  { jsm }: Pick<Broker, "jsm">,
  stream: string,
  time: Date,
): Promise<number> {
  const info = await streamInfo(jsm, stream);
  if (info?.config.allow_direct !== true) return await beginningSince(jsm, stream, time);
  const message = await jsm.direct.getMessage(stream, { start_time: time });
  if (message !== null) return message.seq;
  return ((await streamInfo(jsm, stream))?.state.last_seq ?? 0) + 1;
}

// Streams of others may not allow direct gets: a consumer that would begin there says where that is.
async function beginningSince(jsm: JetStreamManager, stream: string, time: Date): Promise<number> {
  const { name, delivered } = await jsm.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartTime,
    opt_start_time: time.toISOString(),
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: nanos(5_000),
  });
  await jsm.consumers.delete(stream, name).catch(() => false); // goes by itself otherwise
  return delivered.stream_seq + 1;
}
