import assert from "node:assert/strict";
import { test } from "node:test";
import {
  compareVersions,
  judgeServerVersion,
  minimumServerVersion,
  parseVersion,
  supportedServerVersion,
} from "./versions.ts";

test("the server's own --version output, tags and pre-releases are read", () => {
  const release = { major: 2, minor: 15, patch: 1, preRelease: "" };
  assert.deepEqual(parseVersion("nats-server: v2.15.1\n"), release);
  assert.deepEqual(parseVersion("2.15.1"), release);
  assert.deepEqual(parseVersion("v2.15.1-RC.2"), { ...release, preRelease: "RC.2" });
  assert.equal(parseVersion("bash: nats-server: not found"), undefined);
});

test("versions are ordered by number, not by text, and V1: a pre-release is older than its release", () => {
  const sorted = [
    "?",
    "1.9.9",
    "2.9.10",
    "2.14.4",
    "2.15.1-RC.2",
    "2.15.1-RC.10",
    "2.15.1",
    "2.16.0",
  ];
  assert.deepEqual([...sorted].reverse().sort(compareVersions), sorted);
  assert.equal(compareVersions("v2.15.1", "2.15.1"), 0);
});

test("a server is ok from the supported version, weaker from the minimum, refused below", () => {
  for (const version of [supportedServerVersion, "2.15.2", "2.16.0-RC.1", "3.0.0"]) {
    assert.deepEqual(judgeServerVersion(version), { kind: "ok" }, version);
  }
  for (const version of [minimumServerVersion, "2.14.9", "2.15.0", "2.15.1-RC.1"]) {
    assert.equal(judgeServerVersion(version).kind, "weaker", version);
  }
  for (const version of ["2.14.3", "2.12.12", "2.14.4-RC.1"]) {
    assert.equal(judgeServerVersion(version).kind, "refused", version);
  }
});

test("V2: a refusal names the version found, what is needed and where to get it", () => {
  const judged = judgeServerVersion("2.12.1");
  assert.ok(judged.kind === "refused");
  assert.match(judged.message, /2\.12\.1 is too old: 2\.15\.1 or newer.*releases\/tag\/v2\.15\.1/);
  const unreadable = judgeServerVersion("custom");
  assert.ok(unreadable.kind === "refused" && unreadable.message.includes('"custom"'));
});
