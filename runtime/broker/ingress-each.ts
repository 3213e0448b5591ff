// Storing events by one publish each, all in flight at once, with an answer for each of them. Owns an inbox and what waits
// for an answer in it: the client's own publish makes a request each, 35 µs of CPU against 5.
import type { EddyError } from "../events/index.ts";
import { createInbox, type NatsConnection } from "./client.ts";
import type { Pace } from "./ingress-pace.ts";
import { noStream, notConnected, refusal } from "./ingress-refusal.ts";
import { isStranger, type PubAck, type Publish, type Request } from "./ingress-request.ts";
import { wireHeaders } from "./wire.ts";

export interface Each {
  send(request: Request): void;
  /** Nothing waits for an answer. */
  readonly idle: boolean;
  /** Nobody will answer any more: all that wait are settled with this. */
  lost(error: EddyError): void;
}

export function createEach(
  nc: NatsConnection,
  stream: string,
  pace: Pace,
  onIdle: () => void,
): Each {
  const inbox = createInbox();
  const waiting = new Map<string, { request: Request; messageId: string }>();
  let slots = 0;

  nc.subscribe(`${inbox}.*`, {
    callback(error, reply) {
      const found = waiting.get(reply.subject.slice(inbox.length + 1));
      if (error !== null || found === undefined) return;
      const { request, messageId } = found;
      if (reply.headers?.code === 503) return request.settle(noStream(stream));
      answered(request, messageId, reply.json<PubAck>());
      pace.answered(waiting.size);
    },
  });

  function answered(request: Request, messageId: string, answer: PubAck): void {
    if (isStranger(request, stream, answer)) return;
    if (answer.error !== undefined) {
      const publish = request.publishes.get(messageId) as Publish;
      void refusal(nc, stream, publish, answer.error).then(request.settle);
      return;
    }
    const { seq = 0, duplicate = false } = answer;
    request.answers.set(messageId, { seq, duplicate });
    if (request.answers.size === request.publishes.size) request.settle();
    else request.timer.refresh();
  }

  return {
    send(request) {
      const used: string[] = [];
      request.onSettled = () => {
        for (const slot of used) waiting.delete(slot);
        if (waiting.size === 0) onIdle();
      };
      try {
        for (const [messageId, { natsSubject, data, lines }] of request.publishes) {
          const slot = (slots++).toString(36);
          used.push(slot);
          waiting.set(slot, { request, messageId });
          const reply = `${inbox}.${slot}`;
          nc.publish(natsSubject, data, { headers: wireHeaders(lines), reply });
        }
      } catch (cause) {
        request.settle(notConnected(nc, cause)); // closed or draining in between
      }
    },
    get idle() {
      return waiting.size === 0;
    },
    lost(error) {
      for (const { request } of waiting.values()) request.settle(error);
    },
  };
}
