// GitHub's deliveries as events: the types that the CloudEvents GitHub adapter gives them ("issue", although GitHub
// says "issues"), and of each payload what is read here. Payloads are stored as GitHub sends them; what a schema
// does not name passes through.
import { event, Type } from "eddyline";

const Nullable = Type.Union([Type.String(), Type.Null()]);
const User = Type.Object({ login: Type.String() });

const Repository = Type.Object({
  id: Type.Integer(),
  full_name: Type.String(),
  html_url: Type.String(),
  private: Type.Boolean(),
  updated_at: Type.String(),
  description: Type.Optional(Nullable),
  default_branch: Type.Optional(Type.String()),
  archived: Type.Optional(Type.Boolean()),
  stargazers_count: Type.Optional(Type.Integer()),
  forks_count: Type.Optional(Type.Integer()),
  open_issues_count: Type.Optional(Type.Integer()),
});

/** What issues and pull requests have in common. GitHub leaves some of it out, as when an issue is pinned. */
const topic = {
  id: Type.Integer(),
  number: Type.Integer(),
  title: Type.String(),
  html_url: Type.String(),
  updated_at: Type.String(),
  user: Type.Union([User, Type.Null()]), // null: the account is gone
  state: Type.Optional(Type.String()),
  labels: Type.Optional(Type.Array(Type.Object({ name: Type.String() }))),
  assignees: Type.Optional(Type.Array(User)),
};
const Issue = Type.Object(topic);
const PullRequest = Type.Object({
  ...topic,
  draft: Type.Optional(Type.Boolean()),
  merged: Type.Optional(Type.Union([Type.Boolean(), Type.Null()])),
});

const IssuePayload = Type.Object({ issue: Issue, repository: Repository });
const PullRequestPayload = Type.Object({ pull_request: PullRequest, repository: Repository });
const RepositoryPayload = Type.Object({ repository: Repository });

export const IssueOpened = event("com.github.issue.opened", IssuePayload);
export const issueEvents = [
  IssueOpened,
  ...(
    [
      "assigned",
      "closed",
      "deleted",
      "demilestoned",
      "edited",
      "labeled",
      "locked",
      "milestoned",
      "pinned",
      "reopened",
      "transferred",
      "typed",
      "unassigned",
      "unlabeled",
      "unlocked",
      "unpinned",
      "untyped",
    ] as const
  ).map((action) => event(`com.github.issue.${action}`, IssuePayload)),
];

export const pullRequestEvents = (
  [
    "assigned",
    "auto_merge_disabled",
    "auto_merge_enabled",
    "closed",
    "converted_to_draft",
    "demilestoned",
    "dequeued",
    "edited",
    "enqueued",
    "labeled",
    "locked",
    "milestoned",
    "opened",
    "ready_for_review",
    "reopened",
    "review_request_removed",
    "review_requested",
    "synchronize",
    "unassigned",
    "unlabeled",
    "unlocked",
  ] as const
).map((action) => event(`com.github.pull_request.${action}`, PullRequestPayload));

// Nearly every delivery carries its repository. These change it, or what is counted of it.
export const repositoryEvents = (
  [
    "repository.archived",
    "repository.created",
    "repository.deleted",
    "repository.edited",
    "repository.privatized",
    "repository.publicized",
    "repository.renamed",
    "repository.transferred",
    "repository.unarchived",
    "public",
    "push",
    "fork",
    "star.created",
    "star.deleted",
  ] as const
).map((action) => event(`com.github.${action}`, RepositoryPayload));

/** Thin: whoever looks at the issue sees it at GitHub as it is by then. */
export const TriageRequested = event(
  "com.acme.triage.requested",
  Type.Object({
    repository: Type.String(),
    number: Type.Integer(),
    title: Type.String(),
    url: Type.String(),
  }),
  { carries: "reference" },
);
