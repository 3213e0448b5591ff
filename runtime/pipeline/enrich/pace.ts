// When the next call may begin, so that no more than `limit` begin within any `perMs`. Pure; times are handed in.

export interface Pace {
  nextAt(rate: Rate | undefined): number;
  begun(rate: Rate | undefined, nowMs: number): void;
}

interface Rate {
  readonly limit: number;
  readonly perMs: number;
}

export function createPace(): Pace {
  const begins: number[] = []; // of the last calls, as many as the rate looks back
  return {
    nextAt(rate) {
      const before = rate === undefined ? undefined : begins.at(-rate.limit);
      return rate === undefined || before === undefined || begins.length < rate.limit
        ? 0
        : before + rate.perMs;
    },
    begun(rate, nowMs) {
      begins.push(nowMs);
      begins.splice(0, begins.length - (rate?.limit ?? 0));
    },
  };
}
