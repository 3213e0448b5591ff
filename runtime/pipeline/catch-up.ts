// Which filter a handler's consumer has. A wildcard costs the server a look at every subject of a block for each message,
// up to ten times of what it is to deliver one; so where most of what is left is wanted, the consumer delivers all of
// it, and the session drops the rest. At the live tail, where a filter costs nothing, it filters again.
// U1 A filter changes what comes on the way, not what is handled: no position is skipped, and the floor passes each.
// U2 Nobody looks at more than twice what it wants.
import { type Broker, type ConsumerInfo, ensureConsumer, streamInfo } from "../broker/index.ts";

export interface CatchUp {
  /** Looks at what is left to read, and changes the filter where another one is cheaper. */
  look(info: ConsumerInfo): Promise<void>;
}

export interface CatchUpParts {
  readonly broker: Broker;
  /** The consumer as it is with its filter. */
  readonly config: () => { readonly durable_name: string; readonly filter_subject: string };
  /** Deliveries since the session's start, and how many of them were of no wanted type. */
  readonly came: () => { readonly all: number; readonly unwanted: number };
}

const backlogMin = 2_000; // below it is over before the server has changed the filter
const tail = 500;
const everything = ">";

export function createCatchUp({ broker, config, came }: CatchUpParts): CatchUp {
  const { jsm, home } = broker;
  let before = came();

  return {
    async look(info) {
      const filter = info.config.filter_subject;
      const { all, unwanted } = came();
      const mostAreUnwanted = 2 * (unwanted - before.unwanted) > all - before.all;
      before = { all, unwanted };
      if (filter === everything) {
        if (info.num_pending <= tail || mostAreUnwanted) await ensureConsumer(jsm, home, config());
        return;
      }
      if (info.num_pending < backlogMin) return;
      const last = (await streamInfo(jsm, home))?.state.last_seq ?? 0;
      if (2 * info.num_pending < last - info.delivered.stream_seq) return;
      await ensureConsumer(jsm, home, { ...config(), filter_subject: everything });
    },
  };
}
