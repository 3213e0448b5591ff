import assert from "node:assert/strict";
import { test } from "node:test";
import examples from "@octokit/webhooks-examples/api.github.com/index.json" with { type: "json" };
import { event, Type } from "eddyline";
import { harness } from "eddyline/testing";
import { TriageRequested } from "./events.ts";
import * as issues from "./issues.ts";
import * as pulls from "./pull-requests.ts";
import * as repositories from "./repositories.ts";

const github = () => harness(issues, pulls, repositories);

interface Delivery {
  readonly id: string;
  readonly type: string;
  readonly payload: object;
}

/** All recorded deliveries, under the types that the adapter gives those that are read here. */
const deliveries = examples.flatMap(({ name, examples: payloads }) =>
  payloads.map((payload: object, n): Delivery => {
    const named = `com.github.${name === "issues" ? "issue" : name}`;
    const action = "action" in payload ? `.${payload.action}` : "";
    return { id: `${name}-${n}`, type: named + action, payload };
  }),
);

async function play(t: ReturnType<typeof harness>, { id, type, payload }: Delivery) {
  await t.publish(event(type, Type.Any()), payload, { id, source: "https://api.github.com" });
}

const find = (type: string): Delivery => {
  const found = deliveries.find((delivery) => delivery.type === type);
  assert.ok(found, `there is an example of ${type}`);
  return found;
};

/** The delivery again, later, and with some of what it is about changed. */
function changed(
  delivery: Delivery,
  what: string,
  changes: object,
  type = delivery.type,
): Delivery {
  const about: object = Reflect.get(delivery.payload, what);
  const payload = { ...delivery.payload, [what]: { ...about, ...changes } };
  return { id: `${delivery.id} ${JSON.stringify(changes)}`, type, payload };
}

test("every recorded delivery is taken: no dead letter, no retry", async () => {
  const t = github();
  for (const delivery of deliveries) await play(t, delivery);
  assert.ok(deliveries.length > 300);
  assert.deepEqual(
    t.outcomes.filter((outcome) => outcome.kind !== "handled"),
    [],
  );
  assert.equal(t.emitted(TriageRequested).length, 4);
  const sizes = [repositories.repositories, issues.issues, pulls.pullRequests].map(
    (projection) => t.entries(projection).size,
  );
  assert.deepEqual(sizes, [2, 2, 1]);
});

test("all deliveries a second time change no entry and emit nothing", async () => {
  const t = github();
  const all = () =>
    [repositories.repositories, issues.issues, pulls.pullRequests].map((projection) =>
      t.entries(projection),
    );
  for (const delivery of deliveries) await play(t, delivery);
  const [before, handled] = [all(), t.outcomes.length];
  for (const delivery of deliveries) await play(t, delivery);
  assert.deepEqual(all(), before);
  assert.ok(t.outcomes.slice(handled).every((outcome) => outcome.kind === "duplicate"));
  assert.equal(t.emitted(TriageRequested).length, 4);
});

test("an opened issue asks for triage and has an entry; deleted or transferred it has none", async () => {
  for (const last of ["deleted", "transferred"]) {
    const t = github();
    const opened = find("com.github.issue.opened");
    await play(t, opened);
    const [[key, issue] = []] = t.entries(issues.issues);
    assert.equal(issue?.title, "Spelling error in the README file");
    assert.equal(t.emitted(TriageRequested)[0]?.data.title, issue.title);
    await play(t, changed(opened, "issue", {}, `com.github.issue.${last}`));
    assert.equal(t.entry(issues.issues, key ?? ""), undefined);
  }
});

test("an old delivery that comes late changes nothing", async () => {
  const t = github();
  const opened = find("com.github.pull_request.opened");
  const merged = { merged: true, state: "closed", updated_at: "2030-01-01T00:00:00Z" };
  const closed = changed(opened, "pull_request", merged, "com.github.pull_request.closed");
  for (const delivery of [closed, opened]) await play(t, delivery);
  assert.deepEqual(
    Array.from(t.entries(pulls.pullRequests).values(), ({ state }) => state),
    ["merged"],
  );
});

test("what GitHub leaves out of a payload stays as it was", async () => {
  const t = github();
  const labels = [{ name: "bug" }];
  const labeled = changed(find("com.github.issue.labeled"), "issue", { labels, state: "closed" });
  for (const delivery of [labeled, find("com.github.issue.pinned")]) await play(t, delivery);
  const [issue] = t.entries(issues.issues).values();
  assert.deepEqual([issue?.labels, issue?.state], [["bug"], "closed"]);
});

test("a renamed repository keeps its entry, a deleted one loses it", async () => {
  const t = github();
  const created = find("com.github.repository.created");
  const name = { full_name: "Octocoders/Renamed", updated_at: "2030-01-01T00:00:00Z" };
  await play(t, created);
  await play(t, changed(created, "repository", name, "com.github.repository.renamed"));
  assert.deepEqual(
    Array.from(t.entries(repositories.repositories).values(), (repository) => repository.name),
    ["Octocoders/Renamed"],
  );
  await play(t, changed(created, "repository", {}, "com.github.repository.deleted"));
  assert.equal(t.entries(repositories.repositories).size, 0);
});
