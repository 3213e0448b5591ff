// Issues by id. One that is deleted, or transferred to another repository (where it gets another id), is removed.
import { on, projection, Type } from "eddyline";
import { IssueOpened, issueEvents, TriageRequested } from "./events.ts";
import { isStale } from "./stale.ts";

export const issues = projection("issues", {
  from: issueEvents,
  key: (e) => String(e.data.issue.id),
  state: Type.Object({
    repository: Type.String(),
    number: Type.Integer(),
    title: Type.String(),
    url: Type.String(),
    author: Type.String(),
    state: Type.String(),
    labels: Type.Array(Type.String()),
    assignees: Type.Array(Type.String()),
    updatedAt: Type.String(),
  }),
  apply: (known, { type, data: { issue, repository } }) => {
    if (type === "com.github.issue.deleted" || type === "com.github.issue.transferred") return null;
    if (known && isStale(known, issue.updated_at)) return known;
    return {
      repository: repository.full_name,
      number: issue.number,
      title: issue.title,
      url: issue.html_url,
      author: issue.user?.login ?? "ghost",
      state: issue.state ?? known?.state ?? "open",
      labels: issue.labels?.map((label) => label.name) ?? known?.labels ?? [],
      assignees: issue.assignees?.map((user) => user.login) ?? known?.assignees ?? [],
      updatedAt: issue.updated_at,
    };
  },
});

/** Somebody has to look at a new issue: who does is no business of this handler. */
export const requestTriage = on(IssueOpened, { emits: [TriageRequested] }, ({ data }, ctx) => {
  const { issue, repository } = data;
  ctx.emit(TriageRequested, {
    repository: repository.full_name,
    number: issue.number,
    title: issue.title,
    url: issue.html_url,
  });
});
