// What rooms report while they work, as data. Logs and metrics listen; nobody waits for them.
import type { Position } from "../events/index.ts";
import type { Outcome } from "./outcome.ts";

/** Enough of an event to find it again; undefined where the message was no event. May be the event itself. */
export interface EventName {
  readonly type: string;
  readonly source: string;
  readonly id: string;
}

export type Fact =
  /** An event has its outcome, and it is stored. */
  | {
      readonly kind: "outcome";
      readonly handler: string;
      readonly version: string;
      readonly outcome: Outcome["kind"];
      readonly reason?: string;
      readonly event: EventName | undefined;
      readonly position: Position;
      readonly attempt: number;
      readonly effects: number;
      /** From delivery to stored, in milliseconds. */
      readonly ms: number;
    }
  /** An attempt failed and the next one is stored on the backoff subject. */
  | {
      readonly kind: "retry";
      readonly handler: string;
      readonly version: string;
      readonly event: EventName | undefined;
      readonly position: Position;
      /** The attempt that failed, 1 for the first. */
      readonly attempt: number;
      readonly due: Date;
      readonly error: string;
    }
  /** A source was asked for an event and answered or not, or an event was saved the question, or has to wait for it. */
  | {
      readonly kind: "enrich";
      readonly handler: string;
      readonly what: "answered" | "failed" | "saved" | "postponed";
    }
  /** A key of an ordered handler is held, goes on, or is free again. */
  | {
      readonly kind: "key";
      readonly handler: string;
      readonly key: string;
      readonly state: "waiting" | "dead" | "draining" | "free";
      /** The event that holds it. */
      readonly position?: Position;
    }
  /** A handler was started, swapped, stopped, or lost its ledger to another instance. */
  | {
      readonly kind: "handler";
      readonly handler: string;
      readonly version: string;
      readonly state: HandlerState;
      readonly detail?: string;
    }
  /** A group was stored in one batch. */
  | {
      readonly kind: "commit";
      readonly stream: string;
      readonly messages: number;
      readonly bytes: number;
      readonly ms: number;
    }
  /** A handler's own log line (`ctx.log`). */
  | {
      readonly kind: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly handler: string;
      readonly version: string;
      readonly event: EventName;
      readonly message: string;
      readonly facts: Readonly<Record<string, unknown>>;
    }
  /** Something is wrong that the runtime works on by itself; `mended` follows with the same code and subject. */
  | {
      readonly kind: "trouble";
      readonly code: string;
      readonly about: string;
      readonly message: string;
    }
  | {
      readonly kind: "mended";
      readonly code: string;
      readonly about: string;
      readonly message: string;
    };

/** running: has the ledger and consumes. standby: another instance has the ledger. stopped: gone from the folder. */
export type HandlerState = "starting" | "running" | "standby" | "stopped";

export type Report = (fact: Fact) => void;
