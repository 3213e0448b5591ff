// `npm run faults -- --quick` as a part of `npm test`: a subtest for each fault, two at a time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { faults } from "./kinds/index.ts";
import { runFault } from "./run.ts";

const seed = Number(process.env.FAULTS_SEED ?? Math.floor(Math.random() * 2 ** 31));

test("P1 P2 P3: whatever is done to server, runtime, disk and line, nothing is lost, doubled or out of order", {
  concurrency: 2,
}, async (t) => {
  const subtests = faults
    .filter(({ fullOnly = false }) => !fullOnly)
    .map((fault) =>
      t.test(`${fault.name}: ${fault.what}`, async (subtest) => {
        const row = await runFault(fault, { seed, quick: true });
        const again = `repeat it with: npm run faults -- --quick --seed ${seed} ${fault.name}`;
        for (const note of row.notes) subtest.diagnostic(note);
        assert.ok(row.holds, `${JSON.stringify(row, undefined, 2)}\n${again}`);
      }),
    );
  await Promise.all(subtests);
});
