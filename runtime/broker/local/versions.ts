// Which nats-server is good enough. Owns the two numbers and what is weaker between them; pure.
// V1 A pre-release counts as older than its release.   V2 A version that cannot be read is refused.

/** What the runtime ships, tests and promises everything on. */
export const supportedServerVersion = "2.15.1";
/** The oldest server that it starts with, saying which promise is weaker. */
export const minimumServerVersion = "2.14.4";

export type Version = {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  /** "RC.1" of "2.15.1-RC.1"; empty for a release. */
  readonly preRelease: string;
};

export type VersionJudgement =
  | { kind: "ok" }
  | { kind: "weaker"; warning: string }
  | { kind: "refused"; message: string };

/** Reads "2.15.1", "v2.15.1-RC.1" and the output of `nats-server --version`. */
export function parseVersion(text: string): Version | undefined {
  const found = /(?<![\w.])v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?/.exec(text);
  if (!found) return undefined;
  const [, major, minor, patch, preRelease = ""] = found;
  return { major: Number(major), minor: Number(minor), patch: Number(patch), preRelease };
}

export function formatVersion(version: Version): string {
  const { major, minor, patch, preRelease } = version;
  return `${major}.${minor}.${patch}${preRelease && `-${preRelease}`}`;
}

/** Negative when `a` is older than `b`; what cannot be read is older than everything. */
export function compareVersions(a: string, b: string): number {
  const left = parseVersion(a);
  const right = parseVersion(b);
  if (!left || !right) return Number(Boolean(left)) - Number(Boolean(right));
  return (
    left.major - right.major ||
    left.minor - right.minor ||
    left.patch - right.patch ||
    comparePreReleases(left.preRelease, right.preRelease)
  );
}

function comparePreReleases(a: string, b: string): number {
  if (a === b) return 0;
  if (a === "" || b === "") return a === "" ? 1 : -1;
  return a.localeCompare(b, "en", { numeric: true });
}

export function judgeServerVersion(version: string): VersionJudgement {
  if (compareVersions(version, supportedServerVersion) >= 0) return { kind: "ok" };
  if (compareVersions(version, minimumServerVersion) >= 0) {
    return {
      kind: "weaker",
      warning:
        `nats-server ${version} works, but ${supportedServerVersion} or newer is what Eddyline is tested on. ` +
        "Until then: a power cut can lose acknowledged events (this version skips some syncs under " +
        "sync_interval: always), and commits are slower (one sync for each message of a batch).",
    };
  }
  return {
    kind: "refused",
    message:
      `nats-server ${parseVersion(version) ? version : JSON.stringify(version)} is too old: ` +
      `${supportedServerVersion} or newer is needed (${minimumServerVersion} works with a warning). ${howToGetIt}`,
  };
}

export const howToGetIt =
  `Get it from https://github.com/nats-io/nats-server/releases/tag/v${supportedServerVersion} ` +
  "or your distribution (Debian has it from forky on).";
