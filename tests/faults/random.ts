// Random numbers from a seed, so that a run can be repeated: mulberry32. Pure.

export interface Random {
  /** 0 up to below 1. */
  next(): number;
  /** A whole number from `from` up to below `to`. */
  between(from: number, to: number): number;
  /** A stream of its own for one purpose: what one draws does not shift another. */
  fork(name: string): Random;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (from, to) => from + Math.floor(next() * (to - from)),
    fork: (name) => createRandom(hashOf(`${seed} ${name}`)),
  };
}

function hashOf(text: string): number {
  let hash = 2_166_136_261;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 16_777_619);
  return hash >>> 0;
}
