// Waiting for some time, or until woken.

export interface Pause {
  wait(ms: number): Promise<void>;
  /** Ends the wait that is on. */
  wake(): void;
}

export function createPause(): Pause {
  let wake = () => {};
  return {
    wait(ms) {
      return new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    },
    wake: () => wake(),
  };
}
