// Which filter a handler's consumer has. A wildcard costs the server a look at every subject of a block for each message,
// up to ten times of what it is to deliver one; so where most of what is left is wanted, the consumer delivers all of
// it, and the session drops the rest. At the live tail, where a filter costs nothing, it filters again.
// U1 A filter changes what comes on the way, not what is handled: no position is skipped, and the floor passes each.
// U2 Nobody looks at more than twice what it wants. U3 Nothing but the filter is written: who was frozen between two
// answers does not put its own name on the consumer of its successor.
import { type Broker, type ConsumerInfo, streamInfo } from "../broker/index.ts";

export interface CatchUp {
  /** Looks at what is left to read, and changes the filter where another one is cheaper. */
  look(info: ConsumerInfo): Promise<void>;
}

export interface CatchUpParts {
  readonly broker: Broker;
  readonly stream: string;
  /** The durable consumer, and its filter at the tail. */
  readonly name: string;
  readonly filter: () => string;
  /** Deliveries since the session's start, and how many of them were of no wanted type. */
  readonly came: () => { readonly all: number; readonly unwanted: number };
}

const backlogMin = 2_000; // below it is over before the server has changed the filter
const tail = 500;
const everything = ">";

export function createCatchUp({ broker, stream, name, filter, came }: CatchUpParts): CatchUp {
  const { jsm } = broker;
  let before = came();

  async function change(filter_subject: string): Promise<void> {
    await jsm.consumers.update(stream, name, { filter_subject });
  }

  return {
    async look(info) {
      const current = info.config.filter_subject;
      const { all, unwanted } = came();
      const mostAreUnwanted = 2 * (unwanted - before.unwanted) > all - before.all;
      before = { all, unwanted };
      if (current === everything) {
        if (info.num_pending <= tail || mostAreUnwanted) await change(filter());
        return;
      }
      if (info.num_pending < backlogMin) return;
      const last = (await streamInfo(jsm, stream))?.state.last_seq ?? 0;
      if (2 * info.num_pending < last - info.delivered.stream_seq) return;
      await change(everything);
    },
  };
}
