// How far a command has come in a span of the log, on a terminal: share, rate, and the time that is left.
import { type Position, positionText } from "../events/index.ts";
import type { LogRange } from "../pipeline/index.ts";

const everyMs = 200;

/** One line; `upTo` is what was read of each stream, `beganMs` and `nowMs` are of the same clock. */
export function progressLine(
  upTo: ReadonlyMap<string, number>,
  ranges: readonly LogRange[],
  beganMs: number,
  nowMs: number,
): string {
  const reached = ({ stream, from }: LogRange) => upTo.get(stream) ?? from - 1;
  const sum = (count: (range: LogRange) => number) => ranges.reduce((n, r) => n + count(r), 0);
  const done = sum((range) => reached(range) - range.from + 1);
  const all = Math.max(
    1,
    sum(({ from, to }) => Math.max(0, to - from + 1)),
  );
  const share = Math.min(100, Math.floor((100 * done) / all));
  const perSecond = (1_000 * done) / Math.max(1, nowMs - beganMs);
  const leftSeconds = Math.ceil(Math.max(0, all - done) / Math.max(perSecond, 0.001));
  const places = ranges.map((range) => {
    const { stream, to } = range;
    const seq = reached(range);
    return `${ranges.length === 1 ? seq : positionText({ stream, seq })} of ${to}`;
  });
  return `${share} % at ${places.join(", ")}, ${Math.round(perSecond)}/s, ${durationText(leftSeconds)} left`;
}

function durationText(seconds: number): string {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3_600)} h ${Math.floor((seconds % 3_600) / 60)} min`;
}

export function showSpanProgress() {
  const stream = process.stderr;
  const beganMs = performance.now();
  const reached = new Map<string, number>();
  let shownMs = 0;
  return {
    show(upTo: readonly Position[], ranges: readonly LogRange[]): void {
      for (const { stream, seq } of upTo) reached.set(stream, seq);
      const nowMs = performance.now();
      if (!stream.isTTY || nowMs - shownMs < everyMs) return;
      shownMs = nowMs;
      stream.write(`\r\x1b[K${progressLine(reached, ranges, beganMs, nowMs)}`);
    },
    end(): void {
      if (stream.isTTY && shownMs > 0) stream.write("\r\x1b[K");
    },
  };
}
