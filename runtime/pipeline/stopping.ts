// The end of all waiting: what is cut off when the runtime stops and waits no longer.
// A set that the stop walks once: an AbortSignal's listeners would cost more than the rest of an attempt.

export interface Stopping {
  /** True once nothing waits any more. */
  readonly over: boolean;
  /** Called once when it is over; whoever is done before takes its own out. */
  readonly cuts: Set<() => void>;
}

export function createStopping(): Stopping & { cutOff(): void } {
  let over = false;
  const cuts = new Set<() => void>();
  return {
    get over() {
      return over;
    },
    cuts,
    cutOff() {
      over = true;
      for (const cut of [...cuts]) cut();
      cuts.clear();
    },
  };
}

/** Waits for the work, but no longer than until all waiting ends. */
export async function unlessCut(stopping: Stopping, work: Promise<unknown>): Promise<void> {
  if (stopping.over) return;
  let cut = () => {};
  const over = new Promise<void>((resolve) => {
    cut = resolve;
  });
  stopping.cuts.add(cut);
  await Promise.race([work, over]).finally(() => stopping.cuts.delete(cut));
}
