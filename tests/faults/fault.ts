// A fault as data: its name, its size, and how it is injected into a world under load.
import type { NatsOptions } from "../support/nats.ts";
import type { PlanSize } from "./model.ts";
import type { Disk, FaultWorld } from "./world.ts";

export interface Size extends PlanSize {
  /** How often the fault is injected, or for how long, as the fault understands it. */
  readonly times: number;
  /** The producer's pace, where the fault takes its time and work is to last. */
  readonly perSecond?: number;
}

export interface Fault {
  readonly name: string;
  /** One line for the table of docs/faults.md. */
  readonly what: string;
  readonly full: Size;
  /** Its family has another member in the quick run: it is in the full run, and where it is named. */
  readonly fullOnly?: true;
  readonly quick: Size;
  readonly server?: NatsOptions;
  /** What the server stores on. */
  readonly disk?: () => Promise<Disk>;
  /** Environment of the runtimes. */
  readonly env?: Readonly<Record<string, string>>;
  /** `eddy reconcile` misses what the fault has deleted. */
  readonly findings?: "expected";
  /** Why it cannot be done on this machine, or undefined. */
  readonly impossible?: () => string | undefined;
  /** Drives load and fault to the end of both; gives back how often it was injected. */
  run(world: FaultWorld, size: Size): Promise<number>;
}

/** What one run of a fault came to. The numbers that have to be zero are null where it could not run. */
export interface Row {
  readonly fault: string;
  readonly injected: number;
  readonly events: number;
  readonly lost: number | null;
  readonly doubled: number | null;
  readonly disordered: number | null;
  /** Counts of `eddy handlers` that differ from the model's, and what `eddy reconcile` finds. */
  readonly miscounted: number | null;
  /** The longest time without an effect while there was work, by the server's clock. */
  readonly gapMs: number | null;
  /** Resident memory of the runtime in MB: before the fault, after it. */
  readonly rssMb: readonly [number, number] | null;
  readonly seconds: number;
  readonly seed: number;
  /** What does not fit, or why it could not run. */
  readonly notes: readonly string[];
  readonly holds: boolean;
}
