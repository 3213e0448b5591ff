import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { type CloudEvent, isRfc3339 } from "../events/index.ts";
import { githubEvent } from "./github.ts";

type Payload = Record<string, unknown>;
const examples: readonly { name: string; examples: readonly Payload[] }[] = createRequire(
  import.meta.url,
)("@octokit/webhooks-examples/api.github.com/index.json");
const received = new Date("2030-01-01T00:00:00Z");

function mapped(event: string, payload: unknown): CloudEvent {
  const decoded = githubEvent({ event, id: "d-1", payload, received });
  assert.ok(decoded.ok, decoded.ok ? "" : `${event}: ${decoded.fault.message}`);
  return decoded.event;
}

/** Attributes of an example, by default the event's first. */
function attributes(event: string, pick: (payload: Payload) => boolean = () => true) {
  const payload = examples.find(({ name }) => name === event)?.examples.find(pick);
  assert.ok(payload, event);
  const { type, source, subject, time } = mapped(event, payload);
  const repository = "https://api.github.com/repos/Codertocat/Hello-World";
  return [type.replace("com.github.", ""), source.replace(repository, "REPO"), subject, time];
}

test("each of the real deliveries becomes a legal event with the delivery's id and body", () => {
  let count = 0;
  for (const { name, examples: payloads } of examples) {
    for (const payload of payloads) {
      const event = mapped(name, payload);
      assert.match(event.type, /^com\.github\.[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/);
      assert.match(event.source, /^(?:https?:\/\/|github\.com$)/);
      assert.deepEqual([event.id, event.datacontenttype], ["d-1", "application/json"]);
      assert.ok(event.time !== undefined && isRfc3339(event.time));
      assert.equal(event.data, payload);
      count++;
    }
  }
  assert.ok(count > 300, `${count} deliveries`);
});

test("type, source, subject and time are those of the adapter document", () => {
  const time = received.toISOString();
  const acts = (action: string) => (payload: Payload) => payload.action === action;
  for (const [event, pick, expected] of [
    ["issues", acts("opened"), ["issue.opened", "REPO", "1", "2019-05-15T15:20:18Z"]],
    ["pull_request", acts("closed"), ["pull_request.closed", "REPO", "2", "2019-05-15T15:21:18Z"]],
    [
      "issue_comment",
      acts("created"),
      ["issue_comment.created", "REPO/issues/1", "492700400", "2019-05-15T15:20:21Z"],
    ],
    [
      "commit_comment",
      acts("created"),
      [
        "commit_comment.created",
        "REPO/comments/33548674/6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "33548674",
        "2019-05-15T15:20:39Z",
      ],
    ],
    ["create", () => true, ["create.tag", "REPO", "simple-tag", time]],
    ["deployment", () => true, ["deployment", "REPO", "145988746", "2019-05-15T15:20:53Z"]],
    [
      "marketplace_purchase",
      acts("purchased"),
      [
        "marketplace_purchase.purchased",
        "https://api.github.com/users",
        "username",
        "2017-10-25T00:00:00+00:00",
      ],
    ],
    [
      "membership",
      acts("removed"),
      ["membership.team.removed", "https://api.github.com/teams/3253328", "Codertocat", time],
    ],
    [
      "public",
      () => true,
      ["public", "https://api.github.com/users/Codertocat", "Hello-World", "2019-05-15T15:21:03Z"],
    ],
    [
      "push",
      () => true,
      ["push", "https://github.com/Codertocat/Hello-World", "refs/tags/simple-tag", time],
    ],
    [
      "release",
      acts("published"),
      ["release.published", "REPO", "17372790", "2019-05-15T15:20:53Z"],
    ],
    ["release", acts("edited"), ["release.edited", "REPO", "17372790", time]],
    [
      "installation",
      acts("deleted"),
      [
        "installation.deleted",
        "https://api.github.com/users/octocat",
        "2",
        "2018-04-30T17:38:19.000Z",
      ],
    ],
    ["star", acts("deleted"), ["star.deleted", "REPO", undefined, time]],
    [
      "security_advisory",
      () => true,
      ["security_advisory.published", "github.com", "GHSA-rf4j-j272-fj86", "2018-10-03T21:13:54Z"],
    ],
    [
      "status",
      () => true,
      [
        "status.success",
        "REPO",
        "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
        "2019-05-15T15:20:55+00:00",
      ],
    ],
  ] as const) {
    const [type, source, subject, at] = attributes(event, pick as (payload: Payload) => boolean);
    assert.deepEqual([type, source, subject, at], expected, event);
  }
});

test("events that the document does not know follow the same rule", () => {
  assert.deepEqual(attributes("ping").slice(0, 1), ["ping"]);
  assert.deepEqual(attributes("discussion").slice(0, 3), [
    "discussion.created",
    "https://api.github.com/repos/octo-org/octo-repo",
    "90",
  ]);
  const future = {
    action: "spun",
    wheel: { id: 7, updated_at: "2024-01-01T00:00:00Z" },
    repository: { url: "https://r" },
  };
  const { type, source, subject, time } = mapped("wheel", future);
  assert.deepEqual(
    [type, source, subject, time],
    ["com.github.wheel.spun", "https://r", "7", "2024-01-01T00:00:00Z"],
  );
});

test("a payload that lacks everything, or holds anything, neither throws nor invents", () => {
  for (const { name } of [...examples, { name: "constructor" }, { name: "__proto__" }]) {
    const bare = mapped(name, {});
    assert.equal(bare.source, "github.com");
    assert.equal(bare.subject, undefined);
    for (const action of [
      "{action}",
      "*",
      "{sender.url}",
      "__proto__",
      "",
      5,
      null,
      {},
      "a".repeat(100),
    ]) {
      mapped(name, { action, release: {}, sender: { url: "{repository.url}" } });
    }
  }
  const long = githubEvent({
    event: "issues",
    id: "1",
    payload: { action: "a".repeat(300) },
    received,
  });
  assert.ok(!long.ok && long.fault.attribute === "type");
});
