"""What can be asked of the forge: the repository, a search, a thing by its id, and types by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilothouse.harbour.forge.connections import connection
from pilothouse.harbour.forge.objects import CREATED, Object, account
from pilothouse.harbour.forge.people import NAME, OWNER, REPOSITORY, VIEWER
from pilothouse.harbour.forge.schema import Refused
from pilothouse.harbour.forge.search import Search
from pilothouse.harbour.forge.threads import ThreadObjects

if TYPE_CHECKING:
    from pilothouse.harbour.forge.store import Row


class Queries(ThreadObjects):
    """The root of a query, and the repository that hangs on it."""

    def root(self) -> Object:
        """Where a query begins."""
        return {
            "__typename": "Query",
            "viewer": account(VIEWER),
            "repository": self._named,
            "search": self._search,
            "node": self.node,
        }

    def _named(self, owner: str, name: str, **_: object) -> Object:
        if (owner.lower(), name.lower()) != (OWNER, NAME):
            raise Refused(f"Could not resolve to a Repository with the name '{owner}/{name}'.", "NOT_FOUND")
        return self.repository()

    def node(self, id: str) -> Object:  # noqa: A002 (GitHub's name of the argument)
        """A thing by its id."""
        kind, _, number = id.partition("_")
        row = None
        if kind in {"PR", "I"} and number.isdigit():
            row = self.store.thread(int(number), "pull" if kind == "PR" else "issue")
        if row is None:
            raise Refused(f"Could not resolve to a node with the global id of '{id}'", "NOT_FOUND")
        return self.thread(row)

    def thread(self, row: Row) -> Object:
        """An issue or a pull request."""
        return self.pull(row) if row["kind"] == "pull" else self.issue(row)

    def _search(self, query: str, type: str, **page: Any) -> Object:  # noqa: A002
        if type != "ISSUE":
            raise Refused(f"the sandbox searches issues and pull requests only, not {type}")
        search = Search.read(query)
        rows = self.store.rows("SELECT * FROM threads ORDER BY number DESC")
        found = [self.thread(row) for row in rows if search.finds(row)]
        counts = {"userCount": 0, "repositoryCount": 0}
        return connection("SearchResultItemConnection", found, total="issueCount", **counts)(**page)

    def repository(self) -> Object:
        """The one repository."""
        return _FACTS | {
            "owner": account(OWNER),
            "defaultBranchRef": lambda **_: self.ref("refs/heads/main"),
            "pullRequest": lambda number: self._one(number, "pull"),
            "issue": lambda number: self._one(number, "issue"),
            "issueOrPullRequest": lambda number: self._one(number, ""),
            "pullRequests": self._pulls,
            "issues": self._issues,
            "label": self.label,
            "labels": self._labels,
            "ref": lambda qualifiedName: self.ref(_qualified(qualifiedName)),  # noqa: N803
            "refs": self._refs,
            "release": self._release,
            "releases": self._releases,
            "latestRelease": lambda **_: next((r for r in self._all_releases() if r["isLatest"]), None),
            "object": self._object,
            "deployments": self._deployments,
        }

    def _one(self, number: int, kind: str) -> Object:
        rows = [self.store.thread(number, one) for one in ([kind] if kind else ["pull", "issue"])]
        for row in filter(None, rows):
            return self.thread(row)
        name = {"pull": "a PullRequest", "issue": "an Issue", "": "an issue or pull request"}[kind]
        raise Refused(f"Could not resolve to {name} with the number of {number}.", "NOT_FOUND")

    def _pulls(self, states: list[str] | None = None, labels: list[str] | None = None, **more: Any) -> Object:
        wanted = {"head": more.pop("headRefName", None), "base": more.pop("baseRefName", None)}
        rows = [
            row
            for row in self._threads("pull", states, labels, more.pop("orderBy", None))
            if all(value is None or row[name] == value for name, value in wanted.items())
        ]
        return self.pulls(rows)(**more)

    def _issues(self, states: list[str] | None = None, labels: list[str] | None = None, **more: Any) -> Object:
        given = more.pop("filterBy", None) or {}
        chosen = {name: value for name, value in given.items() if value is not None}
        if unknown := chosen.keys() - {"states", "labels"}:
            raise Refused(f"the sandbox does not filter issues by {min(unknown)}")
        order, states, labels = (
            more.pop("orderBy", None),
            chosen.get("states") or states,
            chosen.get("labels") or labels,
        )
        return self.issues(self._threads("issue", states, labels, order))(**more)

    def _threads(
        self, kind: str, states: list[str] | None, labels: list[str] | None, order: dict[str, str] | None
    ) -> list[Row]:
        rows = [row for row in self.store.threads(kind) if not states or row["state"] in states]
        if labels:
            rows = [row for row in rows if any(label in Search.labels(row) for label in labels)]
        return _ordered(rows, order, {"CREATED_AT": "number", "UPDATED_AT": "updated"})

    def _labels(self, query: str | None = None, orderBy: dict[str, str] | None = None, **page: Any) -> Object:  # noqa: N803
        rows = self.store.rows("SELECT * FROM labels ORDER BY name")
        names = [row["name"] for row in rows if not query or query.lower() in row["name"].lower()]
        if orderBy and orderBy["direction"] == "DESC":
            names.reverse()
        return connection("LabelConnection", self.labels(names))(**page)

    def _refs(self, refPrefix: str, **page: Any) -> Object:  # noqa: N803
        names = [name for name in self.origin.refs(refPrefix) if name.startswith(refPrefix)]
        return connection("RefConnection", [self.ref(name) for name in names])(**page)

    def _release(self, tagName: str) -> Object | None:  # noqa: N803 (as above)
        row = self.store.row("SELECT * FROM releases WHERE tag = ?", tagName)
        return self.release(row) if row else None

    def _all_releases(self) -> list[Object]:
        return [self.release(row) for row in self.store.rows("SELECT * FROM releases ORDER BY id DESC")]

    def _releases(self, orderBy: dict[str, str] | None = None, **page: Any) -> Object:  # noqa: N803
        rows = _ordered(self._all_releases(), orderBy, {"CREATED_AT": "databaseId", "NAME": "name"})
        return connection("ReleaseConnection", rows)(**page)

    def _object(self, oid: str | None = None, expression: str | None = None) -> Object | None:
        if oid is not None:
            return self.git(oid)
        found = self.origin.resolve((expression or "").removeprefix("refs/heads/").removeprefix("refs/tags/"))
        return self.git(found) if found else None

    def _deployments(
        self,
        environments: list[str] | None = None,
        orderBy: dict[str, str] | None = None,  # noqa: N803 (as above)
        **page: Any,
    ) -> Object:
        rows = self.store.rows("SELECT * FROM deployments ORDER BY id")
        rows = [row for row in rows if not environments or row["environment"] in environments]
        rows = _ordered(rows, orderBy, {"CREATED_AT": "id"})
        return connection("DeploymentConnection", map(self.deployment, rows))(**page)

    def release(self, row: Row) -> Object:
        """A release."""
        newest = self.store.row("SELECT * FROM releases WHERE draft = 0 AND prerelease = 0 ORDER BY id DESC")
        oid = self.origin.ref(f"refs/tags/{row['tag']}")
        return {
            "__typename": "Release",
            "id": f"RE_{row['id']}",
            "databaseId": row["id"],
            "name": row["name"],
            "tagName": row["tag"],
            "description": row["body"],
            "author": account(row["author"]),
            "url": f"{REPOSITORY}/releases/tag/{row['tag']}",
            "createdAt": row["created"],
            "publishedAt": row["published"],
            "updatedAt": row["published"] or row["created"],
            "isDraft": bool(row["draft"]),
            "isPrerelease": bool(row["prerelease"]),
            "isLatest": bool(newest and newest["id"] == row["id"]),
            "tagCommit": lambda **_: self.commit(self.origin.peeled(oid)) if oid else None,
            "releaseAssets": connection("ReleaseAssetConnection", []),
        }

    def deployment(self, row: Row) -> Object:
        """A deployment; only the newest successful one of an environment is active."""
        newest = self.store.row(
            "SELECT max(id) AS id FROM deployments WHERE environment = ? AND state = 'success'", row["environment"]
        )
        ended = {"success": "ACTIVE" if newest and newest["id"] == row["id"] else "INACTIVE", "failure": "FAILURE"}
        return {
            "__typename": "Deployment",
            "id": f"DE_{row['id']}",
            "databaseId": row["id"],
            "environment": row["environment"],
            "state": ended.get(row["state"], row["state"].upper()),
            "createdAt": row["created"],
            "updatedAt": row["created"],
            "description": row["description"],
            "ref": lambda **_: self.ref(f"refs/heads/{row['ref']}"),
            "commit": lambda **_: self.commit(row["sha"]),
            "commitOid": row["sha"],
        }


def _qualified(name: str) -> str:
    return name if name.startswith("refs/") else f"refs/heads/{name}"


def _ordered(rows: list[Row], order: dict[str, str] | None, columns: dict[str, str]) -> list[Row]:
    if not order:
        return rows
    if order["field"] not in columns:
        raise Refused(f"the sandbox does not order by {order['field']}")
    return sorted(rows, key=lambda row: row[columns[order["field"]]], reverse=order["direction"] == "DESC")


_FACTS: Object = {
    "__typename": "Repository",
    "id": "R_1",
    "databaseId": 1,
    "name": NAME,
    "nameWithOwner": f"{OWNER}/{NAME}",
    "sshUrl": f"git@github.com:{OWNER}/{NAME}.git",
    "url": REPOSITORY,
    "description": "A small shop",
    "homepageUrl": None,
    "hasIssuesEnabled": True,
    "hasWikiEnabled": False,
    "hasProjectsEnabled": False,
    "hasDiscussionsEnabled": False,
    "isPrivate": True,
    "isArchived": False,
    "isFork": False,
    "isTemplate": False,
    "isEmpty": False,
    "isInOrganization": True,
    "visibility": "PRIVATE",
    "viewerPermission": "ADMIN",
    "viewerCanAdminister": True,
    "viewerDefaultMergeMethod": "MERGE",
    "createdAt": CREATED,
    "updatedAt": CREATED,
    "pushedAt": CREATED,
    "parent": None,
    "mergeCommitAllowed": True,
    "rebaseMergeAllowed": False,
    "squashMergeAllowed": True,
    "deleteBranchOnMerge": False,
    "stargazerCount": 0,
    "forkCount": 0,
    "diskUsage": 1,
}
