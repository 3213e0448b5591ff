// How far a command has come in a span of the log, on a terminal: share, rate, and the time that is left.
import type { Span } from "../pipeline/index.ts";

const everyMs = 200;

/** One line; `beganMs` and `nowMs` are of the same clock. */
export function progressLine(
  seq: number,
  { from, to }: Span,
  beganMs: number,
  nowMs: number,
): string {
  const [done, all] = [seq - from + 1, Math.max(1, to - from + 1)];
  const share = Math.min(100, Math.floor((100 * done) / all));
  const perSecond = (1_000 * done) / Math.max(1, nowMs - beganMs);
  const leftSeconds = Math.ceil(Math.max(0, to - seq) / Math.max(perSecond, 0.001));
  return `${share} % at ${seq} of ${to}, ${Math.round(perSecond)}/s, ${durationText(leftSeconds)} left`;
}

function durationText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}

export function showSpanProgress() {
  const stream = process.stderr;
  const beganMs = performance.now();
  let shownMs = 0;
  return {
    show(seq: number, span: Span): void {
      const nowMs = performance.now();
      if (!stream.isTTY || nowMs - shownMs < everyMs) return;
      shownMs = nowMs;
      stream.write(`\r\x1b[K${progressLine(seq, span, beganMs, nowMs)}`);
    },
    end(): void {
      if (stream.isTTY && shownMs > 0) stream.write("\r\x1b[K");
    },
  };
}
