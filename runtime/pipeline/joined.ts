// One piece of work for all who ask for it while it is under way.

/** Gives what starts the work, or joins the one that runs. */
export function joined<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= work().finally(() => {
      running = undefined;
    });
    return running;
  };
}
