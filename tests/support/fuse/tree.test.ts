import assert from "node:assert/strict";
import { test } from "node:test";
import { createTree, type Node, type Tree } from "./tree.ts";

const file = 0o100644;
const textOf = (tree: Tree, name: string) => {
  const node = tree.root.children?.get(name);
  return node?.data.toString("utf8", 0, node.size);
};
const write = (tree: Tree, node: Node, text: string, at = node.size) =>
  tree.write(node, at, Buffer.from(text));

test("D1: a cut leaves what was synced of a file, and nothing that was written after", () => {
  const tree = createTree();
  const a = tree.make(tree.root, "a", file);
  write(tree, a, "synced");
  tree.sync(a);
  write(tree, a, " and not");
  write(tree, a, "S", 0);
  assert.equal(textOf(tree, "a"), "Synced and not");
  tree.cut(1);
  assert.equal(textOf(tree, "a"), "synced");
});

test("D2: a sync of any file makes the names and sizes before it durable, but no other file's data", () => {
  const tree = createTree();
  const a = tree.make(tree.root, "a", file);
  const b = tree.make(tree.root, "b", file);
  write(tree, a, "of a");
  tree.sync(b);
  tree.make(tree.root, "c", file);
  tree.move(tree.root, "b", tree.root, "d");
  tree.cut(0);
  assert.deepEqual([...(tree.root.children?.keys() ?? [])], ["a", "b"]);
  assert.equal(textOf(tree, "a"), "");
});

test("D2: a file that was cut to nothing and written again may be empty after a power cut", () => {
  const tree = createTree();
  const a = tree.make(tree.root, "a", file);
  write(tree, a, "before");
  tree.sync(a);
  tree.resize(a, 0);
  write(tree, a, "after");
  tree.cut(1);
  assert.equal(textOf(tree, "a"), "");
});

test("D3: the part of the journal that is kept is its beginning, and a rename is there or not", () => {
  const tree = createTree();
  const a = tree.make(tree.root, "a", file);
  tree.sync(a);
  tree.move(tree.root, "a", tree.root, "b");
  tree.make(tree.root, "c", file);
  tree.cut(0.5);
  assert.deepEqual([...(tree.root.children?.keys() ?? [])], ["b"]);
});
