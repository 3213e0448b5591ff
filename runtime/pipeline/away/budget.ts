// How many bytes of fetched data one handler has in memory at once. Pure.
// B1 Turns come in the order in which they were asked for, so nobody waits for somebody behind. B2 What is larger than
// all of it has its turn alone. One budget a handler, not one for all: a handler that waits for a projection must not
// keep the room that the projection needs.

export interface Budget {
  /** Resolves when there is room, to what gives it back. */
  enter(bytes: number): Promise<() => void>;
}

export function createBudget(bytesMax: number): Budget {
  const queue: { readonly bytes: number; readonly start: () => void }[] = [];
  let inside = 0;
  let taken = 0;

  function admit(): void {
    for (;;) {
      const [first] = queue;
      if (first === undefined || (inside > 0 && taken + first.bytes > bytesMax)) return;
      queue.shift();
      inside++;
      taken += first.bytes;
      first.start();
    }
  }

  return {
    enter(bytes) {
      return new Promise((resolve) => {
        let left = false;
        const leave = () => {
          if (left) return;
          left = true;
          inside--;
          taken -= bytes;
          admit();
        };
        queue.push({ bytes, start: () => resolve(leave) });
        admit();
      });
    },
  };
}
