// A 64-bit hash of an identity (`source` + `id`). Not cryptographic: a hit is always verified against the log,
// so a collision costs one read and never loses an event. Pure.

export interface Hash64 {
  hi: number;
  lo: number;
}

/** Two lanes of multiply-and-rotate mixing (as in murmur3), over UTF-16 code units, 32 bits each. */
export function hashIdentity(source: string, id: string): Hash64 {
  let a = 0x9e3779b1 ^ source.length;
  let b = 0x85ebca77 ^ id.length;
  for (let at = 0; at < source.length; at++) {
    const unit = source.charCodeAt(at);
    a = Math.imul(a ^ unit, 0xcc9e2d51);
    b = Math.imul(b ^ unit, 0x1b873593);
    a = (a << 15) | (a >>> 17);
    b = (b << 13) | (b >>> 19);
  }
  a = Math.imul(a ^ 0x5bd1e995, 0xcc9e2d51); // the boundary: ("a", "bc") is not ("ab", "c")
  b = Math.imul(b ^ 0x27d4eb2f, 0x1b873593);
  for (let at = 0; at < id.length; at++) {
    const unit = id.charCodeAt(at);
    a = Math.imul(a ^ unit, 0xcc9e2d51);
    b = Math.imul(b ^ unit, 0x1b873593);
    a = (a << 15) | (a >>> 17);
    b = (b << 13) | (b >>> 19);
  }
  return { hi: avalanche(a ^ Math.imul(b, 5)), lo: avalanche(b ^ Math.imul(a, 3)) };
}

function avalanche(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
