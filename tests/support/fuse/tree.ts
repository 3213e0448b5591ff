// Files in memory that know what a disk would still have after a power cut. Pure.
// D1 Data is durable once its file was synced. D2 Names and sizes are journaled: they become durable in their order,
// with the next sync of any file (as ext4 and XFS do it). D3 A cut leaves the durable state and nothing else, plus
// the part of the journal that it is told to keep.

export interface Node {
  readonly id: number;
  readonly mode: number;
  mtimeMs: number;
  data: Buffer;
  size: number;
  /** Written since the last sync: from, to. */
  dirty: [number, number][];
  durable: { data: Buffer; size: number };
  /** Of a folder. */
  readonly children?: Map<string, Node>;
  readonly durableChildren?: Map<string, Node>;
}

export interface Tree {
  readonly root: Node;
  make(parent: Node, name: string, mode: number): Node;
  remove(parent: Node, name: string): void;
  move(from: Node, name: string, to: Node, newName: string): void;
  write(node: Node, offset: number, bytes: Uint8Array): void;
  resize(node: Node, size: number): void;
  sync(node: Node): void;
  /** The power fails; `keep` is the part (0 to 1) of the unsynced journal that the disk had already. */
  cut(keep: number): void;
}

const folderBit = 0o040000;
const nothing = Buffer.alloc(0);

export function createTree(): Tree {
  let ids = 1;
  let root = makeNode(folderBit | 0o755);
  let journal: (() => void)[] = [];

  function makeNode(mode: number): Node {
    const folder = (mode & folderBit) !== 0;
    return {
      id: ids++,
      mode,
      mtimeMs: Date.now(),
      data: nothing,
      size: 0,
      dirty: [],
      durable: { data: nothing, size: 0 },
      ...(folder ? { children: new Map(), durableChildren: new Map() } : {}),
    };
  }

  function link(parent: Node, name: string, node: Node): void {
    parent.children?.set(name, node);
    journal.push(() => parent.durableChildren?.set(name, node));
  }

  function remove(parent: Node, name: string): void {
    parent.children?.delete(name);
    journal.push(() => parent.durableChildren?.delete(name));
  }

  function resize(node: Node, size: number): void {
    node.data = withRoom(node.data, size);
    node.data.fill(0, Math.min(node.size, size), Math.max(node.size, size));
    node.size = size;
    node.dirty = node.dirty.flatMap(([from, to]) =>
      from < size ? [[from, Math.min(to, size)]] : [],
    );
    journal.push(() => {
      const { durable } = node;
      durable.data = withRoom(durable.data, size);
      durable.data.fill(0, Math.min(durable.size, size), Math.max(durable.size, size));
      durable.size = size;
    });
  }

  // What a disk holds, as new nodes: whoever had the old ones open has lost them.
  function revived(node: Node): Node {
    const fresh = makeNode(node.mode);
    const { data, size } = node.durable;
    fresh.data = Buffer.from(data.subarray(0, size));
    fresh.size = size;
    fresh.durable = { data: Buffer.from(fresh.data), size };
    for (const [name, child] of node.durableChildren ?? []) {
      const again = revived(child);
      fresh.children?.set(name, again);
      fresh.durableChildren?.set(name, again);
    }
    return fresh;
  }

  return {
    get root() {
      return root;
    },
    make(parent, name, mode) {
      const node = makeNode(mode);
      link(parent, name, node);
      return node;
    },
    remove,
    move(from, name, to, newName) {
      const node = from.children?.get(name);
      if (node === undefined) return;
      const before = journal.length;
      remove(from, name);
      link(to, newName, node);
      const steps = journal.splice(before);
      journal.push(() => {
        for (const step of steps) step(); // a rename is there or not
      });
    },
    write(node, offset, bytes) {
      const end = offset + bytes.byteLength;
      node.data = withRoom(node.data, end);
      if (offset > node.size) node.data.fill(0, node.size, offset);
      node.data.set(bytes, offset);
      node.size = Math.max(node.size, end);
      const last = node.dirty.at(-1);
      if (last !== undefined && last[1] === offset) last[1] = end;
      else node.dirty.push([offset, end]);
      node.mtimeMs = Date.now();
    },
    resize,
    sync(node) {
      for (const step of journal) step();
      journal = [];
      const { durable } = node;
      durable.data = withRoom(durable.data, node.size);
      if (node.size > durable.size) durable.data.fill(0, durable.size, node.size);
      for (const [from, to] of node.dirty) node.data.copy(durable.data, from, from, to);
      durable.size = node.size;
      node.dirty = [];
    },
    cut(keep) {
      for (const step of journal.slice(0, Math.floor(journal.length * keep))) step();
      journal = [];
      root = revived(root);
    },
  };
}

/** Grows in powers of two: appending must not copy the file each time. */
function withRoom(data: Buffer, size: number): Buffer {
  if (data.byteLength >= size) return data;
  const room = Buffer.alloc(Math.max(4_096, 2 ** Math.ceil(Math.log2(size))));
  data.copy(room);
  return room;
}
