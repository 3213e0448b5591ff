// Ingress: events from outside into the home stream, each answered by the server before it counts as stored.
// Where the server syncs the disk for each of them, what came together is one batch.
// I1 `store` resolves only when the home stream itself has all events. Another stream that listens to the same
//    subjects, such as a hub's over a leaf link, answers too; its answers do not count.
// I2 An event sent again within the server's window is not stored again: its message id is a digest of its identity.
// I3 Data that is too large for a message is stored as an object before its event, and the event refers to it.
// I4 Where `store` rejects, some events of the request may be stored. Sending the request again is safe by I2.
import { type CloudEvent, EddyError, nameOf, type StoredEvent } from "../events/index.ts";
import type { NatsConnection } from "./client.ts";
import { createBatches } from "./ingress-batch.ts";
import { createEach } from "./ingress-each.ts";
import { createPace, type Pace } from "./ingress-pace.ts";
import { notConnected } from "./ingress-refusal.ts";
import { answerMsMax, batchable, outcomes, publishesOf, type Request } from "./ingress-request.ts";
import type { Objects } from "./objects.ts";

export type Store = (events: readonly CloudEvent[]) => Promise<StoredEvent[]>;

/** Gives the function that stores events in the home stream. It lasts as long as the connection. */
export function createIngress(
  nc: NatsConnection,
  { stream, objects }: { stream: string; objects?: Objects },
  pace: Pace = createPace(),
): Store {
  const each = createEach(nc, stream, pace, () => setImmediate(flush));
  const batches = createBatches(nc, stream, pace, each, () => setImmediate(flush));
  let due: Request[] = []; // to be sent
  let link: "up" | "down" = nc.isClosed() ? "down" : "up";
  let domain: Promise<string | undefined> | undefined;
  void watchLink();

  async function watchLink(): Promise<void> {
    for await (const status of nc.status()) {
      if (status.type === "reconnect") link = "up";
      else if (status.type === "disconnect" || status.type === "close") {
        link = "down";
        // What was sent may be stored or not.
        each.lost(notConnected(nc));
        batches.lost(notConnected(nc));
      }
    }
    link = "down";
  }

  // At the end of a turn of the event loop: what many requests publish is one write to the server.
  function enter(request: Request): void {
    if (due.push(request) === 1) setImmediate(flush);
  }

  function flush(): void {
    if (due.length === 0 || batches.underWay || (pace.gathers && !each.idle)) return;
    const all = due;
    due = [];
    if (link === "down") {
      for (const request of all) request.settle(notConnected(nc));
      return;
    }
    const messages = all.reduce((sum, { publishes }) => sum + publishes.size, 0);
    const asBatch = pace.gathers && messages >= pace.batchMin;
    const together = asBatch ? batchable(all) : new Set<Request>();
    for (const request of all) if (!together.has(request)) each.send(request);
    if (together.size > 0) batches.send([...together]);
  }

  return async function store(events) {
    const publishes = publishesOf(events, nc, objects);
    if (link === "down") throw notConnected(nc);
    for (const { claim, natsSubject } of publishes.values()) {
      if (claim !== undefined) await objects?.put(claim.ref, claim.data, natsSubject);
    }
    domain ??= domainOf(nc);
    const ownDomain = await domain.catch((cause) => {
      domain = undefined;
      throw notConnected(nc, cause);
    });
    const stored = await new Promise<Request["answers"]>((resolve, reject) => {
      const request: Request = {
        answers: new Map(),
        publishes,
        domain: ownDomain,
        strangers: new Set(),
        timer: setTimeout(() => request.settle(unanswered(stream, request)), answerMsMax),
        onSettled() {},
        settle(error) {
          clearTimeout(request.timer);
          request.onSettled();
          if (error === undefined) resolve(request.answers);
          else reject(error);
        },
      };
      if (publishes.size === 0) request.settle();
      else enter(request);
    });
    return outcomes(events, stored, stream);
  };
}

/** The JetStream domain of the server that we speak to. Streams of one name may be in several. */
async function domainOf(nc: NatsConnection): Promise<string | undefined> {
  const reply = await nc.request("$JS.API.INFO", "", { timeout: answerMsMax });
  return reply.json<{ domain?: string }>().domain;
}

function unanswered(stream: string, request: Request): EddyError {
  const { publishes, answers, strangers } = request;
  const first = [...publishes].find(([messageId]) => !answers.has(messageId));
  const others =
    strangers.size === 0
      ? "Is its server overloaded, or may this user not publish events.>?"
      : `Only ${[...strangers].join(", ")} answered; does ${stream} have the subject events.>?`;
  return new EddyError(
    "EDDY_STORE_TIMEOUT",
    `stream ${stream} gave no answer for ${publishes.size - answers.size} of ${publishes.size} events ` +
      `within ${answerMsMax / 1_000} s, the first of them ${first === undefined ? "" : nameOf(first[1].event)}. ` +
      `They may or may not be stored; send them again, which stores none twice. ${others}`,
    { stream },
  );
}
