// An event as it comes from the stream for the first time. One object for each: what only few need is made on demand.
import type { Handler } from "../authoring/index.ts";
import type { CloudEvent, Position } from "../events/index.ts";
import type { Logged } from "./log/sight.ts";
import type { Attempt, Original } from "./retry/parcel.ts";
import type { Job } from "./scope.ts";

const noAttempts: readonly Attempt[] = [];

export class FirstJob<Event extends CloudEvent | undefined> implements Job {
  handler: Handler;
  readonly position: Position;
  readonly event: Event;
  key = "";
  readonly slot: number;
  readonly beganMs: number;
  readonly #delivery: Logged;

  constructor(
    handler: Handler,
    stream: string,
    delivery: Logged,
    slot: number,
    event: Event,
    beganMs: number,
  ) {
    this.handler = handler;
    this.position = { stream, seq: delivery.seq };
    this.event = event;
    this.slot = slot;
    this.beganMs = beganMs;
    this.#delivery = delivery;
  }

  get attempt(): number {
    return 1;
  }

  get attempts(): readonly Attempt[] {
    return noAttempts;
  }

  get from(): "new" {
    return "new";
  }

  get onStored(): undefined {
    return undefined;
  }

  get original(): Original {
    const { natsSubject, raw, headerLength, storedMs } = this.#delivery;
    return {
      position: this.position,
      natsSubject,
      timeMs: storedMs,
      ...(headerLength === 0 ? {} : { headers: raw.subarray(0, headerLength) }),
      data: raw.subarray(headerLength),
    };
  }
}
