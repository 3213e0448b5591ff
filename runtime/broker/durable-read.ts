// Reading a durable consumer: pull requests (ADR-13, ADR-37) that follow each other before the one before runs out, and
// noticing within seconds when that has come to an end. The client's own reader bounds either messages or bytes; events
// of a megabyte, or a hundred handlers, need both.
// R1 What is asked for and did not come is never more than `asksMax` messages and the connection's share of bytes.
// R2 A request that the server has forgotten is asked again; nobody waits for it longer than two heartbeats.
import { describeThrown } from "../events/index.ts";
import { createInbox, type Msg, nanos } from "./client.ts";
import type { Broker } from "./connect.ts";
import { Delivery } from "./delivery.ts";
import { onLoss } from "./losses.ts";
import { joinReaders, shareOf } from "./prefetch.ts";
import { wordOf } from "./pull-word.ts";

export interface DurableRead {
  /** Resolves to the reason once nothing will come any more; never after `stop`. */
  readonly broken: Promise<string>;
  /** There is room again, where `hasRoom` said that there was none. */
  more(): void;
  stop(): void;
}

const asksMax = 1_000;
const expiresMs = 5_000;
const heartbeatMs = 1_000;
const silentLooks = { again: 2, broken: 4 };
const subjectsMax = 8_192; // of a message and of its ack
const shakenMs = 250; // a leader that is gone, a server that shuts down

/** Starts to read. What `onDelivery` throws ends it. While `hasRoom` says no, nothing is asked for. */
export function readDurable(
  broker: Pick<Broker, "nc" | "maxPayloadBytes">,
  stream: string,
  name: string,
  onDelivery: (delivery: Delivery) => void,
  hasRoom: () => boolean = () => true,
): DurableRead {
  const { nc } = broker;
  const inbox = createInbox();
  const asks = createAsks(broker, `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`, inbox, hasRoom);
  const leave = joinReaders(nc);
  let heard = true; // anything, since the last look
  let silent = 0;
  let over = false;
  let later: NodeJS.Timeout | undefined;
  let resolve: (why: string) => void = () => {};
  const broken = new Promise<string>((settle) => {
    resolve = settle;
  });
  const sub = nc.subscribe(inbox, {
    callback(error, message) {
      heard = true;
      if (error !== null) end(error.message);
      else if (message.subject === inbox) told(message);
      else deliver(message);
    },
  });
  const look = setInterval(listen, heartbeatMs);
  const unwatch = onLoss(nc, (loss) => {
    if (loss === "reconnect") asks.anew();
  });
  asks.more();

  function deliver(message: Msg): void {
    asks.came(sizeOf(message));
    try {
      onDelivery(new Delivery(message));
    } catch (error) {
      end(describeThrown(error).message);
    }
    if (!over) asks.more();
  }

  function told(message: Msg): void {
    const word = wordOf(message);
    if (word.kind === "ended") asks.ended(word);
    if (word.kind === "shaken") later ??= setTimeout(anew, shakenMs);
    if (word.kind === "broken") end(word.why);
  }

  function anew(): void {
    later = undefined;
    asks.anew();
  }

  function listen(): void {
    if (nc.isClosed()) {
      stop();
      return;
    }
    silent = heard || asks.open <= 0 ? 0 : silent + 1;
    heard = false;
    if (silent === silentLooks.again) asks.anew();
    if (silent === silentLooks.broken) end("no heartbeats from the server");
    else asks.more();
  }

  function end(why: string): void {
    stop();
    resolve(why);
  }

  function stop(): void {
    if (over) return;
    over = true;
    clearInterval(look);
    clearTimeout(later);
    unwatch();
    leave();
    if (!nc.isClosed()) sub.unsubscribe();
  }

  return {
    broken,
    more() {
      if (!over && !nc.isClosed()) asks.more();
    },
    stop,
  };
}

/** What is asked for: messages and bytes that neither came nor were given back. */
function createAsks(
  { nc, maxPayloadBytes }: Pick<Broker, "nc" | "maxPayloadBytes">,
  request: string,
  inbox: string,
  hasRoom: () => boolean,
) {
  let messages = 0;
  let bytes = 0;
  let idle = true; // nothing has come since the last request

  function more(): void {
    const share = shareOf(nc);
    if (messages > asksMax / 2 && bytes > share / 2) return;
    const room = share - bytes; // a request for crumbs would be over before a message fits in
    if (messages < asksMax && room >= share / 16 && hasRoom()) send(asksMax - messages, room);
  }

  function send(batch: number, room: number): void {
    messages += batch;
    bytes += room;
    idle = true;
    const times = { expires: nanos(expiresMs), idle_heartbeat: nanos(heartbeatMs) };
    nc.publish(request, JSON.stringify({ batch, max_bytes: room, ...times }), { reply: inbox });
  }

  return {
    more,
    came(size: number): void {
      messages = Math.max(0, messages - 1);
      bytes = Math.max(0, bytes - size);
      idle = false;
    },
    ended(left: { messages: number; bytes: number; large: boolean }): void {
      messages = Math.max(0, messages - left.messages);
      bytes = messages === 0 ? 0 : Math.max(0, bytes - left.bytes);
      if (!left.large) more();
      else if (messages > 0)
        return; // what else is asked for has more room, or ends as well
      else if (idle)
        send(1, maxPayloadBytes + subjectsMax); // the next one alone is more than a share
      else more();
    },
    /** The server has forgotten all of it. */
    anew(): void {
      messages = 0;
      bytes = 0;
      more();
    },
    get open() {
      return messages;
    },
  };
}

// As the server counts it.
function sizeOf(message: Msg): number {
  return (message as Msg & { size?(): number }).size?.() ?? message.data.byteLength;
}
