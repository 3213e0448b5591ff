// How many messages a subject filter holds, without their subjects: a stream may have a million of them.
import { AckPolicy, DeliverPolicy, nanos } from "./client.ts";
import type { Broker } from "./connect.ts";

export async function countMessages(
  { jsm }: Pick<Broker, "jsm">,
  stream: string,
  filter: string,
): Promise<number> {
  const counting = await jsm.consumers.add(stream, {
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.All,
    filter_subject: filter,
    mem_storage: true,
    num_replicas: 1,
    inactive_threshold: nanos(5_000),
  });
  await jsm.consumers.delete(stream, counting.name).catch(() => false); // goes by itself otherwise
  return counting.num_pending;
}
