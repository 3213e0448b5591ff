// Judges foreign MessagePack before it is decoded, in one pass that allocates nothing. Pure.
// M1 Sound bytes hold exactly one value, whose announced lengths are really there: no header makes a decoder
// allocate for items that never come.   M2 It is at most as deep as asked.   M3 It holds no extension but
// timestamps and undefined: msgpackr's own would build sets, errors, regular expressions and circles.

export type Shape =
  | { readonly kind: "sound" }
  | { readonly kind: "deep" }
  | { readonly kind: "broken"; readonly why: string };

/** Judges the bytes; `levels` bounds how deep arrays and maps are nested. */
export function judgeMessagePack(bytes: Uint8Array, levels: number): Shape {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const open: number[] = []; // for each open container, the values still to come
  let at = 0;
  do {
    const item = at < bytes.length ? itemAt(view, at) : undefined;
    if (item === undefined) return { kind: "broken", why: "it ends early" };
    if (item.kind === "refused") return { kind: "broken", why: `${item.why} at byte ${at}` };
    at = item.end;
    if (item.kind === "container") {
      if (open.length === levels) return { kind: "deep" };
      // Each value to come takes a byte at least.
      if (item.values > bytes.length - at) return { kind: "broken", why: "it ends early" };
      open.push(item.values);
    } else if (open.length > 0) open[open.length - 1] = (open.at(-1) as number) - 1;
    while (open.at(-1) === 0) {
      open.pop();
      if (open.length > 0) open[open.length - 1] = (open.at(-1) as number) - 1;
    }
  } while (open.length > 0);
  if (at > bytes.length) return { kind: "broken", why: "it ends early" };
  if (at < bytes.length)
    return { kind: "broken", why: `${bytes.length - at} bytes follow its end` };
  return { kind: "sound" };
}

type Item =
  | { readonly kind: "scalar"; readonly end: number }
  | { readonly kind: "container"; readonly end: number; readonly values: number }
  | { readonly kind: "refused"; readonly why: string };

// Undefined where the length itself is cut off; an end beyond the bytes is found by the caller.
function itemAt(view: DataView, at: number): Item | undefined {
  const token = view.getUint8(at);
  if (token <= 0x7f || token >= 0xe0) return scalar(at + 1);
  if (token <= 0x8f) return { kind: "container", end: at + 1, values: (token & 0x0f) * 2 };
  if (token <= 0x9f) return { kind: "container", end: at + 1, values: token & 0x0f };
  if (token <= 0xbf) return scalar(at + 1 + (token & 0x1f));
  const fixed = fixedBytes[token];
  if (fixed !== undefined) return scalar(at + 1 + fixed);
  if (token === 0xc1) return { kind: "refused", why: "byte 0xc1, which MessagePack never uses," };
  if (token >= 0xd4 && token <= 0xd8) return extension(view, at + 1, 1 << (token - 0xd4));
  const width = lengthBytes[token] as number;
  const start = at + 1 + width;
  if (start > view.byteLength) return undefined;
  const length =
    width === 1
      ? view.getUint8(at + 1)
      : width === 2
        ? view.getUint16(at + 1)
        : view.getUint32(at + 1);
  if (token >= 0xc7 && token <= 0xc9) return extension(view, start, length);
  if (token >= 0xde) return { kind: "container", end: start, values: length * 2 };
  if (token >= 0xdc) return { kind: "container", end: start, values: length };
  return scalar(start + length);
}

function scalar(end: number): Item {
  return { kind: "scalar", end };
}

function extension(view: DataView, typeAt: number, length: number): Item | undefined {
  if (typeAt >= view.byteLength) return undefined;
  const type = view.getInt8(typeAt);
  if (type !== -1 && type !== 0) return { kind: "refused", why: `extension type ${type}` };
  return scalar(typeAt + 1 + length);
}

/** Bytes after the token where they are always as many. */
const fixedBytes: Readonly<Record<number, number>> = {
  192: 0, // nil
  194: 0, // false
  195: 0, // true
  202: 4, // float
  203: 8,
  204: 1, // unsigned
  205: 2,
  206: 4,
  207: 8,
  208: 1, // signed
  209: 2,
  210: 4,
  211: 8,
};

/** Bytes of the length after the token. */
const lengthBytes: Readonly<Record<number, number>> = {
  196: 1, // bin
  197: 2,
  198: 4,
  199: 1, // ext
  200: 2,
  201: 4,
  217: 1, // str
  218: 2,
  219: 4,
  220: 2, // array
  221: 4,
  222: 2, // map
  223: 4,
};
