// Reads from the log what nobody else brings to the identity index: the tail after a start, and positions of types
// that no handler here reads. It reads while something is missing, and stops where handlers bring everything anyhow.
// G1 While a wanted position is not known it reads on. G2 Its events come in stream order, without gaps.
// G3 Far behind it reads records as well, while most is events: a filter costs the server eight times what a message does.
import { type Broker, type Delivery, readDelivery, readOrdered } from "../../broker/index.ts";
import { allEvents, isEventSubject } from "../../events/index.ts";

export interface GapReader {
  /** Somebody waits until all up to this position is known. */
  want(seq: number): void;
  /** Stops reading; what is wanted later starts it anew. */
  stop(): Promise<void>;
}

export interface GapReaderParts {
  readonly broker: Broker;
  readonly stream: string;
  /** All up to here is known. */
  readonly known: () => number;
  /** What stands at the delivery's position; no event stands between it and what was known. */
  readonly onDelivery: (delivery: Delivery) => void;
  readonly onBroken: (why: string) => void;
}

const patienceMs = 3; // most gaps close by themselves: another handler, or the committer, brings what is missing
const idleMax = 2_000; // messages in a row that others had brought before
const aheadMax = 16_384; // positions read above all that is wanted
const far = 2_000; // positions
const sample = 1_000; // messages that tell whether most of the stream is events

interface Reading {
  readonly whole: boolean;
  messages: number;
  events: number;
  readonly stop: Promise<() => Promise<void>>;
}

export function createGapReader(parts: GapReaderParts): GapReader {
  let wanted = 0;
  let reading: Reading | undefined;
  let dense = true; // most of the stream is events
  let timer: NodeJS.Timeout | undefined;
  let idle = 0;

  function start(): void {
    timer = undefined;
    if (reading !== undefined || wanted <= parts.known()) return;
    idle = 0;
    const whole = dense && wanted - parts.known() >= far;
    const stop = readOrdered(parts.broker, {
      stream: parts.stream,
      filter: whole ? ">" : allEvents,
      fromSeq: parts.known() + 1,
      onMessage: (message) => {
        if (reading === mine) take(mine, readDelivery(message));
      },
      onBroken: (why) => {
        if (reading === mine) parts.onBroken(why);
      },
    });
    const mine: Reading = { whole, messages: 0, events: 0, stop };
    reading = mine;
    stop.catch((error: unknown) => {
      if (reading === mine) parts.onBroken(error instanceof Error ? error.message : String(error));
    });
  }

  function take(from: Reading, delivery: Delivery): void {
    const { seq } = delivery;
    const known = parts.known();
    if (seq <= known) idle++;
    else {
      idle = 0;
      parts.onDelivery(delivery);
    }
    if (from.whole && isWasteful(from, delivery)) {
      void stop();
      start();
      return;
    }
    if (wanted > parts.known()) return;
    if (idle >= idleMax || seq > wanted + aheadMax) void stop();
  }

  // What is stored from now on is records mostly: each event has some.
  function isWasteful(from: Reading, { pending, natsSubject }: Delivery): boolean {
    from.messages++;
    if (isEventSubject(natsSubject)) from.events++;
    if (from.messages === sample && from.events < sample / 2) dense = false;
    return !dense || pending === 0;
  }

  async function stop(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const before = reading;
    reading = undefined;
    const end = await before?.stop.catch(() => undefined); // it never began
    await end?.().catch(() => {}); // gone with the connection
  }

  return {
    want(seq) {
      if (seq > wanted) wanted = seq;
      if (reading === undefined) timer ??= setTimeout(start, patienceMs);
    },
    stop,
  };
}
