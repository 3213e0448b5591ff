// The process behind a mounted power-cut file system: answers the kernel on descriptor 3 until it is unmounted.
// A folder `.cut-<n>` made in the root is the power failing, with n per mille of the unsynced journal on the disk.
import { readSync, writeSync } from "node:fs";
import { createTree, type Node } from "./tree.ts";
import {
  attributesReply,
  type DirectoryEntry,
  directoryReply,
  entryReply,
  errno,
  initReply,
  namesFrom,
  opcode,
  openReply,
  parseRequest,
  type Request,
  refusal,
  reply,
  sizeReply,
  statfsReply,
  writeBytesMax,
} from "./wire.ts";

const device = 3;
const rootId = 1;
const syncFlags = 0o4010000; // O_SYNC with O_DSYNC: such a write is durable when it returns
const fileBit = 0o100000;
const folderBit = 0o040000;

const tree = createTree();
/** Nodes that the kernel knows, and how often it was told of them. */
const known = new Map<number, { node: Node; times: number }>();

class Refused extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`refused with ${code}`);
    this.code = code;
  }
}

const buffer = Buffer.alloc(writeBytesMax + 4_096);
for (;;) {
  const length = readRequest();
  if (length === 0) break;
  const request = parseRequest(buffer.subarray(0, length));
  const answer = answerOf(request);
  if (answer === undefined) continue;
  try {
    writeSync(device, answer);
  } catch {
    // ENOENT: whoever asked was killed meanwhile
  }
}

/** 0 once it is unmounted. */
function readRequest(): number {
  for (;;) {
    try {
      return readSync(device, buffer);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      if (code === "ENODEV") return 0;
      if (code !== "ENOENT" && code !== "EINTR" && code !== "EAGAIN") throw error;
    }
  }
}

function answerOf(request: Request): Buffer | undefined {
  try {
    const parts = handle(request);
    return parts === undefined ? undefined : reply(request.unique, parts);
  } catch (error) {
    if (error instanceof Refused) return refusal(request.unique, error.code);
    throw error;
  }
}

function handle({ code, nodeId, body }: Request): Buffer[] | undefined {
  switch (code) {
    case opcode.init:
      return [initReply()];
    case opcode.forget:
      forget(nodeId, Number(body.readBigUInt64LE(0)));
      return undefined;
    case opcode.batchForget:
      for (let at = 8, left = body.readUInt32LE(0); left > 0; left--, at += 16)
        forget(Number(body.readBigUInt64LE(at)), Number(body.readBigUInt64LE(at + 8)));
      return undefined;
    case opcode.interrupt:
      return undefined;
    case opcode.lookup:
      return [entryReply(told(child(nodeOf(nodeId), namesFrom(body, 0)[0])))];
    case opcode.getattr:
      return [attributesReply(asked(nodeId))];
    case opcode.setattr:
      if ((body.readUInt32LE(0) & 8) !== 0)
        tree.resize(nodeOf(nodeId), Number(body.readBigUInt64LE(16)));
      return [attributesReply(asked(nodeId))];
    case opcode.mkdir:
      return [entryReply(makeFolder(nodeOf(nodeId), body))];
    case opcode.mknod:
      return [entryReply(make(nodeOf(nodeId), namesFrom(body, 16)[0], fileBit | 0o644))];
    case opcode.create: {
      const node = make(nodeOf(nodeId), namesFrom(body, 16)[0], fileBit | 0o644);
      return [entryReply(node), openReply()];
    }
    case opcode.unlink:
    case opcode.rmdir:
      return remove(nodeOf(nodeId), namesFrom(body, 0)[0], code === opcode.rmdir);
    case opcode.rename:
      return rename(nodeId, body, 8);
    case opcode.rename2:
      return rename(nodeId, body, 16);
    case opcode.open:
    case opcode.opendir:
      nodeOf(nodeId);
      return [openReply()];
    case opcode.read:
      return [read(nodeOf(nodeId), Number(body.readBigUInt64LE(8)), body.readUInt32LE(16))];
    case opcode.write:
      return [write(nodeOf(nodeId), body)];
    case opcode.fsync:
    case opcode.fsyncdir:
      tree.sync(nodeOf(nodeId));
      return [];
    case opcode.readdir:
      return [list(nodeOf(nodeId), Number(body.readBigUInt64LE(8)), body.readUInt32LE(16))];
    case opcode.statfs:
      return [statfsReply()];
    case opcode.flush:
    case opcode.release:
    case opcode.releasedir:
    case opcode.destroy:
      return [];
    default:
      throw new Refused(errno.nosys);
  }
}

function nodeOf(id: number): Node {
  const node = id === rootId ? tree.root : known.get(id)?.node;
  if (node === undefined) throw new Refused(errno.noent);
  return node;
}

/** The root keeps its number for the kernel, whichever node it is after a cut. */
function asked(id: number) {
  return { ...nodeOf(id), id };
}

function child(parent: Node, name = ""): Node {
  const node = parent.children?.get(name);
  if (node === undefined) throw new Refused(errno.noent);
  return node;
}

function told(node: Node): Node {
  const entry = known.get(node.id) ?? { node, times: 0 };
  entry.times++;
  known.set(node.id, entry);
  return node;
}

function forget(id: number, times: number): void {
  const entry = known.get(id);
  if (entry === undefined) return;
  entry.times -= times;
  if (entry.times <= 0) known.delete(id);
}

function make(parent: Node, name = "", mode: number): Node {
  if (parent.children === undefined) throw new Refused(errno.notdir);
  if (parent.children.has(name)) throw new Refused(errno.exist);
  return told(tree.make(parent, name, mode));
}

function makeFolder(parent: Node, body: Buffer): Node {
  const [name = ""] = namesFrom(body, 8);
  const cut = /^\.cut-(\d+)$/.exec(name);
  if (cut === null || parent !== tree.root) return make(parent, name, folderBit | 0o755);
  tree.cut(Number(cut[1]) / 1_000);
  throw new Refused(errno.exist); // it was an order, no folder
}

function remove(parent: Node, name = "", folder: boolean): Buffer[] {
  const node = child(parent, name);
  if (folder && (node.children?.size ?? 0) > 0) throw new Refused(errno.notempty);
  tree.remove(parent, name);
  return [];
}

function rename(nodeId: number, body: Buffer, offset: number): Buffer[] {
  const [name = "", newName = ""] = namesFrom(body, offset);
  const from = nodeOf(nodeId);
  const to = nodeOf(Number(body.readBigUInt64LE(0)));
  child(from, name);
  if ((to.children?.get(newName)?.children?.size ?? 0) > 0) throw new Refused(errno.notempty);
  tree.move(from, name, to, newName);
  return [];
}

function read(node: Node, offset: number, size: number): Buffer {
  return node.data.subarray(Math.min(offset, node.size), Math.min(offset + size, node.size));
}

function write(node: Node, body: Buffer): Buffer {
  const size = body.readUInt32LE(16);
  tree.write(node, Number(body.readBigUInt64LE(8)), body.subarray(40, 40 + size));
  if ((body.readUInt32LE(32) & syncFlags) !== 0) tree.sync(node);
  return sizeReply(size);
}

function list(node: Node, from: number, room: number): Buffer {
  const entries = [...(node.children ?? [])].map(
    ([name, { id, children }]): DirectoryEntry => ({ name, id, folder: children !== undefined }),
  );
  return directoryReply(entries, from, room);
}
