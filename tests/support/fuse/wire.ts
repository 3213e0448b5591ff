// The kernel's FUSE protocol as far as a server of plain files needs it: requests read, replies made. Pure.
// Little endian, as on all machines that run the tests. Layouts: <linux/fuse.h>, protocol 7.31.

export const opcode = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
  rename2: 45,
} as const;

export const errno = {
  noent: 2,
  exist: 17,
  notdir: 20,
  nospc: 28,
  nosys: 38,
  notempty: 39,
} as const;

export const writeBytesMax = 1 << 20;
const headerBytes = 40;

export interface Request {
  readonly code: number;
  readonly unique: bigint;
  readonly nodeId: number;
  /** What follows the header. */
  readonly body: Buffer;
}

export function parseRequest(message: Buffer): Request {
  return {
    code: message.readUInt32LE(4),
    unique: message.readBigUInt64LE(8),
    nodeId: Number(message.readBigUInt64LE(16)),
    body: message.subarray(headerBytes),
  };
}

/** Names that end with a zero byte, from an offset on. */
export function namesFrom(body: Buffer, offset: number): string[] {
  return body.toString("utf8", offset).split("\0").slice(0, -1);
}

export function reply(unique: bigint, parts: readonly Buffer[] = []): Buffer {
  return message(unique, 0, parts);
}

export function refusal(unique: bigint, code: number): Buffer {
  return message(unique, -code, []);
}

function message(unique: bigint, error: number, parts: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(16 + parts.reduce((sum, part) => sum + part.byteLength, 0), 0);
  head.writeInt32LE(error, 4);
  head.writeBigUInt64LE(unique, 8);
  return Buffer.concat([head, ...parts]);
}

export function initReply(): Buffer {
  const out = Buffer.alloc(64);
  const bigWrites = 1 << 5;
  const maxPages = 1 << 22;
  out.writeUInt32LE(7, 0);
  out.writeUInt32LE(31, 4);
  out.writeUInt32LE(writeBytesMax, 8); // read ahead
  out.writeUInt32LE(bigWrites | maxPages, 12);
  out.writeUInt16LE(64, 16); // in the background at most
  out.writeUInt16LE(48, 18);
  out.writeUInt32LE(writeBytesMax, 20);
  out.writeUInt32LE(1, 24); // ns
  out.writeUInt16LE(writeBytesMax / 4096, 28);
  return out;
}

export interface Attributes {
  readonly id: number;
  readonly size: number;
  readonly mode: number;
  readonly mtimeMs: number;
}

function attributes({ id, size, mode, mtimeMs }: Attributes): Buffer {
  const out = Buffer.alloc(88);
  out.writeBigUInt64LE(BigInt(id), 0);
  out.writeBigUInt64LE(BigInt(size), 8);
  out.writeBigUInt64LE(BigInt(Math.ceil(size / 512)), 16);
  for (const at of [24, 32, 40]) out.writeBigUInt64LE(BigInt(Math.floor(mtimeMs / 1_000)), at);
  out.writeUInt32LE(mode, 60);
  out.writeUInt32LE(1, 64); // links
  out.writeUInt32LE(4096, 80);
  return out;
}

/** A node and its attributes; the kernel keeps neither, so that it sees what a cut has changed. */
export function entryReply(node: Attributes): Buffer {
  const out = Buffer.alloc(40);
  out.writeBigUInt64LE(BigInt(node.id), 0);
  return Buffer.concat([out, attributes(node)]);
}

export function attributesReply(node: Attributes): Buffer {
  return Buffer.concat([Buffer.alloc(16), attributes(node)]);
}

/** An open file without a page cache: each write arrives here before the writer goes on. */
export function openReply(): Buffer {
  const out = Buffer.alloc(16);
  out.writeUInt32LE(1, 8);
  return out;
}

export function sizeReply(bytes: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeUInt32LE(bytes, 0);
  return out;
}

export function statfsReply(): Buffer {
  const out = Buffer.alloc(80);
  for (const at of [0, 8, 16, 24, 32]) out.writeBigUInt64LE(1n << 24n, at);
  out.writeUInt32LE(4096, 40);
  out.writeUInt32LE(255, 44);
  out.writeUInt32LE(4096, 48);
  return out;
}

export interface DirectoryEntry {
  readonly name: string;
  readonly id: number;
  readonly folder: boolean;
}

/** Entries from an offset on, as many as fit. */
export function directoryReply(all: readonly DirectoryEntry[], from: number, room: number): Buffer {
  const parts: Buffer[] = [];
  let used = 0;
  for (const [at, { name, id, folder }] of [...all.entries()].slice(from)) {
    const bytes = Buffer.from(name);
    const part = Buffer.alloc(24 + Math.ceil(bytes.byteLength / 8) * 8);
    if (used + part.byteLength > room) break;
    part.writeBigUInt64LE(BigInt(id), 0);
    part.writeBigUInt64LE(BigInt(at + 1), 8);
    part.writeUInt32LE(bytes.byteLength, 16);
    part.writeUInt32LE(folder ? 4 : 8, 20);
    bytes.copy(part, 24);
    parts.push(part);
    used += part.byteLength;
  }
  return Buffer.concat(parts);
}
