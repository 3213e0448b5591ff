// Repositories by id: an id outlives renames and transfers, a name does not. The issues of a deleted repository
// stay: a fold changes the entry of its own event and no other.
import { projection, Type } from "eddyline";
import { repositoryEvents } from "./events.ts";
import { isStale } from "./stale.ts";

export const repositories = projection("repositories", {
  from: repositoryEvents,
  key: (e) => String(e.data.repository.id),
  state: Type.Object({
    name: Type.String(),
    url: Type.String(),
    description: Type.String(),
    private: Type.Boolean(),
    archived: Type.Boolean(),
    defaultBranch: Type.String(),
    stars: Type.Integer(),
    forks: Type.Integer(),
    openIssues: Type.Integer(),
    updatedAt: Type.String(),
  }),
  apply: (known, { type, data: { repository } }) => {
    if (type === "com.github.repository.deleted") return null;
    if (known && isStale(known, repository.updated_at)) return known;
    return {
      name: repository.full_name,
      url: repository.html_url,
      description: repository.description ?? "",
      private: repository.private,
      archived: repository.archived ?? known?.archived ?? false,
      defaultBranch: repository.default_branch ?? known?.defaultBranch ?? "",
      stars: repository.stargazers_count ?? known?.stars ?? 0,
      forks: repository.forks_count ?? known?.forks ?? 0,
      openIssues: repository.open_issues_count ?? known?.openIssues ?? 0,
      updatedAt: repository.updated_at,
    };
  },
});
