// Who of a process's handlers may try suspects now. Pure.
// G1 While one tries alone, nobody else tries anything: else a death would be blamed on the wrong event.
// G2 Turns come in the order in which they were asked for.

export interface Gate {
  /** Resolves when it is one's turn, to what gives it back. Those that need not be alone go in together. */
  enter(alone: boolean): Promise<() => void>;
}

export function createGate(): Gate {
  const queue: { readonly alone: boolean; readonly start: () => void }[] = [];
  let inside = 0;
  let exclusive = false;

  function admit(): void {
    for (;;) {
      const [first] = queue;
      if (first === undefined || exclusive || (first.alone && inside > 0)) return;
      queue.shift();
      inside++;
      exclusive = first.alone;
      first.start();
    }
  }

  function leave(): void {
    inside--;
    exclusive = false;
    admit();
  }

  return {
    enter(alone) {
      return new Promise((resolve) => {
        let left = false;
        const once = () => {
          if (left) return;
          left = true;
          leave();
        };
        queue.push({ alone, start: () => resolve(once) });
        admit();
      });
    },
  };
}
