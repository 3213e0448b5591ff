// Ctrl-C and SIGTERM, for commands that run until they are told to stop.

/** Aborted by the first signal. The second one ends the process at once, whatever it is doing. */
export function untilStopped(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) process.exit(1);
      stop.abort();
    });
  }
  return stop.signal;
}

export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Ends the process although something that a handler has left running would keep it alive. */
export function endSoon(): void {
  setTimeout(() => process.exit(), 500).unref();
}
