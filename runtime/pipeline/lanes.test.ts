import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createLanes as createLanesOf } from "./lanes.ts";

/** Lanes of closures, each given the function that ends its turn. */
function createLanes(width: number) {
  const lanes = createLanesOf<{ key: string; turn: (leave: () => void) => void }>(
    width,
    ({ key, turn }) => turn(() => lanes.leave(key)),
  );
  return {
    enter: (key: string, turn: (leave: () => void) => void) => lanes.enter(key, { key, turn }),
    get occupied() {
      return lanes.occupied;
    },
  };
}

test("L1: events of one key run one after the other, in the order in which they entered", () => {
  const lanes = createLanes(10);
  const began: string[] = [];
  const leaves: (() => void)[] = [];
  for (const name of ["a", "b", "c"]) {
    lanes.enter("key", (leave) => {
      began.push(name);
      leaves.push(leave);
    });
  }
  assert.deepEqual(began, ["a"]);
  leaves[0]?.();
  assert.deepEqual(began, ["a", "b"]);
  leaves[1]?.();
  leaves[2]?.();
  assert.deepEqual(began, ["a", "b", "c"]);
  assert.equal(lanes.occupied, 0);
});

test("a key that is held up holds up no other key", () => {
  const lanes = createLanes(10);
  const began: string[] = [];
  lanes.enter("slow", () => began.push("slow"));
  lanes.enter("quick", (leave) => {
    began.push("quick");
    leave();
  });
  assert.deepEqual(began, ["slow", "quick"]);
  assert.equal(lanes.occupied, 1);
});

test("L3: no more lanes than the width run at once, and the ones that wait get their turn", () => {
  const lanes = createLanes(2);
  const leaves: (() => void)[] = [];
  let running = 0;
  let most = 0;
  for (let key = 0; key < 10; key++) {
    lanes.enter(String(key), (leave) => {
      most = Math.max(most, ++running);
      leaves.push(() => {
        running--;
        leave();
      });
    });
  }
  while (leaves.length > 0) leaves.shift()?.();
  assert.equal(most, 2);
  assert.equal(lanes.occupied, 0);
});

test("a hundred thousand events that return at once neither overflow the stack nor leave their order", () => {
  const lanes = createLanes(4);
  const seen: number[] = [];
  lanes.enter("k", (leave) => {
    for (let n = 0; n < 100_000; n++) {
      lanes.enter("k", (leaveInner) => {
        seen.push(n);
        leaveInner();
      });
    }
    leave();
  });
  assert.equal(seen.length, 100_000);
  assert.ok(seen.every((n, at) => n === at));
});

test("L1, L2, L3 hold for any interleaving", () => {
  const steps = fc.array(fc.record({ key: fc.integer({ min: 0, max: 4 }), finish: fc.boolean() }));
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 3 }), (all, width) => {
      const lanes = createLanes(width);
      const running = new Map<number, () => void>();
      const began = new Map<number, number[]>();
      const entered = new Map<number, number>();
      for (const { key, finish } of all) {
        if (finish) {
          const [first] = running;
          if (first !== undefined) {
            running.delete(first[0]);
            first[1]();
          }
          continue;
        }
        const n = entered.get(key) ?? 0;
        entered.set(key, n + 1);
        lanes.enter(String(key), (leave) => {
          assert.ok(!running.has(key));
          running.set(key, leave);
          began.set(key, [...(began.get(key) ?? []), n]);
          assert.ok(running.size <= width);
        });
      }
      while (running.size > 0) {
        const [first] = running;
        if (first === undefined) break;
        running.delete(first[0]);
        first[1]();
      }
      assert.equal(lanes.occupied, 0);
      for (const [key, order] of began) {
        assert.deepEqual(
          order,
          Array.from({ length: entered.get(key) ?? 0 }, (_, i) => i),
        );
      }
    }),
  );
});
