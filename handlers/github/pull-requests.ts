// Pull requests by id.
import { type EventOf, projection, Type } from "eddyline";
import { pullRequestEvents } from "./events.ts";
import { isStale } from "./stale.ts";

const State = Type.Enum(["open", "draft", "closed", "merged"]);

export const pullRequests = projection("pull_requests", {
  from: pullRequestEvents,
  key: (e) => String(e.data.pull_request.id),
  state: Type.Object({
    repository: Type.String(),
    number: Type.Integer(),
    title: Type.String(),
    url: Type.String(),
    author: Type.String(),
    state: State,
    labels: Type.Array(Type.String()),
    assignees: Type.Array(Type.String()),
    updatedAt: Type.String(),
  }),
  apply: (known, { data: { pull_request: pull, repository } }) => {
    if (known && isStale(known, pull.updated_at)) return known;
    return {
      repository: repository.full_name,
      number: pull.number,
      title: pull.title,
      url: pull.html_url,
      author: pull.user?.login ?? "ghost",
      state: stateOf(pull),
      labels: pull.labels?.map((label) => label.name) ?? known?.labels ?? [],
      assignees: pull.assignees?.map((user) => user.login) ?? known?.assignees ?? [],
      updatedAt: pull.updated_at,
    };
  },
});

type Pull = EventOf<(typeof pullRequestEvents)[number]>["data"]["pull_request"];

function stateOf({ merged, state, draft }: Pull): Type.Static<typeof State> {
  if (merged === true) return "merged";
  if (state === "closed") return "closed";
  return draft === true ? "draft" : "open";
}
