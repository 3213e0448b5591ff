// Notices that a thread stands still: it neither begins a call nor answers a ping for longer than it may.
// G1 A pause of the main thread itself, or of the machine, is not held against the thread.

export interface Watched {
  /** Changes whenever the thread gives a sign of life. */
  sign(): number;
  ping(): void;
  /** How long it may stand still now. Asked for only when it does. */
  allowedMs(): number;
  /** It stood still for longer. */
  onStill(stillMs: number): void;
}

export interface Watchdog {
  /** Watches until nothing is to be watched. */
  start(): void;
  stop(): void;
}

const lookMs = 250;
const slackMs = 1_000;

export function createWatchdog(watched: Watched): Watchdog {
  let timer: NodeJS.Timeout | undefined;
  let lastSign = 0;
  let lastLook = 0;
  let since = 0;

  function look(): void {
    const now = performance.now();
    const sign = watched.sign();
    if (sign !== lastSign || now - lastLook > lookMs + slackMs) since = now;
    lastSign = sign;
    lastLook = now;
    const stillMs = now - since;
    if (stillMs >= slackMs && stillMs > watched.allowedMs()) {
      stop();
      watched.onStill(stillMs);
    } else watched.ping();
  }

  function stop(): void {
    clearInterval(timer);
    timer = undefined;
  }

  return {
    start() {
      if (timer !== undefined) return;
      since = performance.now();
      lastLook = since;
      timer = setInterval(look, lookMs);
    },
    stop,
  };
}
