// GitHub's webhooks as CloudEvents, as the CloudEvents project's GitHub adapter document defines. Pure.
// Its table stands below word by word, then what GitHub has added since in the same manner; any other event gets
// the rule that the table follows. Where the document leaves a choice, the row says which was taken.
import { type Decoded, isRfc3339, makeEvent } from "../events/index.ts";

export interface Delivery {
  /** `X-GitHub-Event`. */
  readonly event: string;
  /** `X-GitHub-Delivery`. */
  readonly id: string;
  readonly payload: unknown;
  /** When it came: its time, where the payload has none. */
  readonly received: Date;
}

/**
 * Texts with places `{path.in.payload}`. The first text whose places are all there counts, then the rule for all.
 * `{path^}` is a URL without its last segment, `*` in a path the action's name.
 */
interface Row {
  readonly type?: string;
  readonly source?: string;
  readonly subject?: string;
  readonly time?: readonly string[];
}

/** The CloudEvent of a delivery. */
export function githubEvent({ event, id, payload, received }: Delivery): Decoded {
  const row = rows.get(event) ?? {};
  const fill = (templates: readonly (string | undefined)[]) => firstFilled(templates, payload);
  const attributes = new Map<string, unknown>([
    ["specversion", "1.0"],
    ["id", id],
    ["source", fill([row.source, ...sources])],
    ["type", fill([`com.github.${row.type ?? `${event}.{action}`}`, `com.github.${event}`])],
    ["subject", fill([row.subject, `{${event}.number}`, `{${event}.id}`])],
    [
      "time",
      timeOf(row.time ?? [`{${event}.updated_at}`, `{${event}.created_at}`], payload, received),
    ],
    ["datacontenttype", "application/json"],
  ]);
  return makeEvent(attributes, payload);
}

const sources = [
  "{repository.url}",
  "{organization.url}",
  "{installation.account.url}",
  "{sender.url}",
  "github.com",
];
const now: readonly string[] = [];

const rows: ReadonlyMap<string, Row> = new Map<string, Row>([
  // The document
  ["check_run", { time: ["{check_run.completed_at}", "{check_run.started_at}"] }],
  ["check_suite", { time: ["{check_suite.updated_at}"] }],
  [
    "commit_comment",
    {
      source: "{comment.url}/{comment.commit_id}",
      subject: "{comment.id}",
      time: ["{comment.updated_at}"],
    },
  ],
  ["content_reference", { time: now }],
  ["create", { type: "create.{ref_type}", subject: "{ref}", time: now }],
  ["delete", { type: "delete.{ref_type}", subject: "{ref}", time: now }],
  ["deploy_key", { subject: "{key.id}", time: ["{key.deleted_at}", "{key.created_at}"] }],
  ["deployment", { type: "deployment", time: ["{deployment.updated_at}"] }],
  [
    "deployment_status",
    {
      type: "deployment_status.{deployment_status.state}",
      source: "{deployment.url}",
      subject: "{deployment_status.url}",
    },
  ],
  ["fork", { type: "fork", subject: "{forkee.url}", time: ["{forkee.created_at}"] }],
  [
    "github_app_authorization",
    { type: "github_app_authorization", source: "{sender.url}", time: now },
  ],
  ["gollum", { type: "gollum", time: now }],
  ["installation", { source: "{installation.account.url}" }],
  [
    "installation_repositories",
    {
      type: "installation_repository.{action}",
      source: "{installation.account.url}",
      subject: "{installation.id}",
      time: ["{installation.updated_at}"],
    },
  ],
  [
    "issue_comment",
    { source: "{issue.url}", subject: "{comment.id}", time: ["{comment.updated_at}"] },
  ],
  ["issues", { type: "issue.{action}", subject: "{issue.number}", time: ["{issue.updated_at}"] }],
  ["label", { subject: "{label.name}", time: now }],
  [
    "marketplace_purchase",
    {
      source: "{sender.url^}",
      subject: "{marketplace_purchase.account.login}",
      time: ["{effective_date}"],
    },
  ],
  ["member", { subject: "{member.login}", time: now }],
  [
    "membership",
    {
      type: "membership.{scope}.{action}",
      source: "{team.url}",
      subject: "{member.login}",
      time: now,
    },
  ],
  ["meta", { subject: "{hook_id}", time: ["{hook.updated_at}"] }],
  ["milestone", { subject: "{milestone.number}" }],
  ["organization", { source: "{organization.url}", subject: "{membership.user.login}", time: now }],
  ["org_block", { source: "{organization.url}", subject: "{blocked_user.login}", time: now }],
  ["page_build", { type: "page_build", subject: "{build.url}", time: ["{pusher.updated_at}"] }],
  ["project_card", { time: ["{project_card.updated_at}"] }],
  ["project_column", { time: ["{project_column.updated_at}"] }],
  ["project", { subject: "{project.id}", time: ["{project.updated_at}"] }],
  [
    "public",
    {
      type: "public",
      source: "{repository.owner.url}",
      subject: "{repository.name}",
      time: ["{repository.updated_at}"],
    },
  ],
  ["pull_request", { subject: "{number}", time: ["{pull_request.updated_at}"] }],
  [
    "pull_request_review",
    { source: "{pull_request.url}", subject: "{review.id}", time: ["{review.submitted_at}"] },
  ],
  [
    "pull_request_review_comment",
    { source: "{pull_request.url}", subject: "{comment.id}", time: ["{pull_request.updated_at}"] },
  ],
  ["push", { type: "push", subject: "{ref}", time: now }],
  ["registry_package", { subject: "{registry_package.html_url}" }],
  ["release", { time: ["{release.*_at}"] }],
  [
    "repository",
    {
      source: "{repository.owner.url}",
      subject: "{repository.name}",
      time: ["{repository.updated_at}"],
    },
  ],
  [
    "repository_import",
    {
      type: "repository_import",
      source: "{repository.owner.url}",
      subject: "{repository.name}",
      time: ["{repository.updated_at}"],
    },
  ],
  ["repository_vulnerability_alert", { subject: "{alert.id}", time: now }],
  [
    "security_advisory",
    {
      source: "github.com",
      subject: "{security_advisory.ghsa_id}",
      time: ["{security_advisory.updated_at}"],
    },
  ],
  ["star", { time: ["{starred_at}"] }],
  // The document leaves open what follows its last dot, and asks: the state?
  ["status", { type: "status.{state}", subject: "{sha}", time: ["{updated_at}"] }],
  ["team", { subject: "{team.id}", time: ["{updated_at}"] }],
  ["team_add", { subject: "{team.id}", time: now }],
  ["watch", { time: now }],

  // What GitHub has added since
  ["branch_protection_rule", { subject: "{rule.id}", time: ["{rule.updated_at}"] }],
  ["code_scanning_alert", { subject: "{alert.number}", time: ["{alert.updated_at}"] }],
  ["dependabot_alert", { subject: "{alert.number}", time: ["{alert.updated_at}"] }],
  ["deployment_review", { subject: "{workflow_run.id}", time: ["{workflow_run.updated_at}"] }],
  ["discussion_comment", { subject: "{comment.id}", time: ["{comment.updated_at}"] }],
  ["merge_group", { subject: "{merge_group.head_sha}", time: now }],
  ["ping", { type: "ping", subject: "{hook_id}", time: now }],
  [
    "pull_request_review_thread",
    {
      source: "{pull_request.url}",
      subject: "{thread.node_id}",
      time: ["{pull_request.updated_at}"],
    },
  ],
  ["repository_dispatch", { subject: "{branch}", time: now }],
  ["secret_scanning_alert", { subject: "{alert.number}", time: ["{alert.updated_at}"] }],
  ["sponsorship", { subject: "{sponsorship.node_id}", time: now }],
  [
    "workflow_job",
    {
      time: [
        "{workflow_job.completed_at}",
        "{workflow_job.started_at}",
        "{workflow_job.created_at}",
      ],
    },
  ],
  ["workflow_dispatch", { type: "workflow_dispatch", subject: "{workflow}", time: now }],
]);

function firstFilled(
  templates: readonly (string | undefined)[],
  payload: unknown,
): string | undefined {
  for (const template of templates) {
    const text = template === undefined ? undefined : filled(template, payload);
    if (text !== undefined) return text;
  }
  return undefined;
}

/** The template with all its places filled; undefined where one is not there. */
function filled(template: string, payload: unknown): string | undefined {
  let whole = true;
  const text = template.replace(/\{([a-z0-9_.*]+)(\^?)\}/g, (_, path: string, parent: string) => {
    const value = valueAt(payload, path.split("."));
    if (value === undefined) whole = false;
    return (parent === "^" ? value?.replace(/\/[^/]*$/, "") : value) ?? "";
  });
  return whole ? text : undefined;
}

function valueAt(payload: unknown, path: readonly string[]): string | undefined {
  let value = payload;
  for (const part of path) {
    const name = part.includes("*") ? part.replace("*", valueAt(payload, ["action"]) ?? "") : part;
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name))
      return undefined;
    value = Reflect.get(value, name);
  }
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : undefined;
}

// Times come as RFC 3339, in other forms that Date reads, and as seconds.
function timeOf(templates: readonly string[], payload: unknown, received: Date): string {
  for (const template of templates) {
    const text = filled(template, payload);
    if (text === undefined) continue;
    if (isRfc3339(text)) return text;
    const ms = /^\d{1,11}$/.test(text) ? Number(text) * 1_000 : Date.parse(text);
    if (!Number.isNaN(ms)) return new Date(ms).toISOString();
  }
  return received.toISOString();
}
