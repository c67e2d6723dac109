"""Issues and pull requests as GraphQL objects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pilothouse.harbour.forge.connections import Page, connection
from pilothouse.harbour.forge.objects import CommitObjects, Object, account, reactions
from pilothouse.harbour.forge.origin import NotMergeable
from pilothouse.harbour.forge.people import OWNER, REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilothouse.harbour.forge.store import Row


class ThreadObjects(CommitObjects):
    """What people talk about."""

    def bringing(self, oid: str) -> list[Row]:
        """The pull requests that brought a commit: what came of them on their base, or one of their own commits.

        As GitHub tells it: an open one only of a commit that the default branch does not have.
        """
        rows = self.store.threads("pull")
        related = [row for row in rows if self._concerns(row, oid)]
        if any(row["state"] == "OPEN" for row in related) and self.origin.contains("refs/heads/main", oid):
            return [row for row in related if row["state"] != "OPEN"]
        return related

    def _concerns(self, row: Row, oid: str) -> bool:
        return oid in {row["merge_sha"], row["head_sha"]} or oid in row["landed"] or oid in self.commits(row)

    def associated(self, oid: str) -> Page:
        """A page of them."""
        return self.pulls(self.bringing(oid))

    def _thread(self, row: Row) -> Object:
        """What issues and pull requests have in common."""
        kind = "pull" if row["kind"] == "pull" else "issues"
        comments = self.store.rows("SELECT * FROM comments WHERE thread = ? ORDER BY id", row["number"])
        return {
            "number": row["number"],
            "databaseId": row["number"],
            "title": row["title"],
            "body": row["body"],
            "author": account(row["author"]),
            "authorAssociation": "MEMBER",
            "state": row["state"],
            "url": f"{REPOSITORY}/{kind}/{row['number']}",
            "createdAt": row["created"],
            "updatedAt": row["updated"],
            "closedAt": row["closed"],
            "closed": row["state"] != "OPEN",
            "labels": connection("LabelConnection", self.labels(json.loads(row["labels"]))),
            "assignees": connection("UserConnection", []),
            "comments": connection("IssueCommentConnection", map(self.comment, comments)),
            "milestone": None,
            "locked": False,
            "reactionGroups": reactions(),
            "repository": lambda **_: self.repository(),
        }

    def comment(self, row: Row) -> Object:
        """A comment on an issue or a pull request."""
        times = {"createdAt": row["created"], "updatedAt": row["created"]}
        flags = {"includesCreatedEdit": False, "isMinimized": False, "minimizedReason": None, "viewerDidAuthor": True}
        url = f"{REPOSITORY}/issues/{row['thread']}#issuecomment-{row['id']}"
        who = {"author": account(row["author"]), "authorAssociation": "MEMBER", "body": row["body"], "url": url}
        return {
            "__typename": "IssueComment",
            "id": f"IC_{row['id']}",
            "reactionGroups": reactions(),
            **who,
            **times,
            **flags,
        }

    def issue(self, row: Row) -> Object:
        """An issue."""
        reason = "COMPLETED" if row["state"] == "CLOSED" else None
        more = {"stateReason": reason, "isPinned": False}
        return {"__typename": "Issue", "id": f"I_{row['number']}", **self._thread(row), **more}

    def issues(self, rows: Iterable[Row]) -> Page:
        """A page of issues."""
        return connection("IssueConnection", map(self.issue, rows))

    def pulls(self, rows: Iterable[Row]) -> Page:
        """A page of pull requests."""
        return connection("PullRequestConnection", map(self.pull, rows))

    def base(self, row: Row) -> str:
        """The commit that a pull request is to be merged onto, or was made from."""
        return self.origin.ref(f"refs/heads/{row['base']}") if row["state"] == "OPEN" else str(row["base_sha"])

    def head(self, row: Row) -> str:
        """The newest commit of a pull request: an open one follows its branch."""
        tip = self.origin.ref(f"refs/heads/{row['head']}") if row["state"] == "OPEN" else ""
        return tip or str(row["head_sha"])

    def commits(self, row: Row) -> list[str]:
        """The commits of a pull request, oldest first."""
        return self.origin.between(self.base(row), self.head(row))

    def pull(self, row: Row) -> Object:
        """A pull request."""
        common = {"__typename": "PullRequest", "id": f"PR_{row['number']}", "fullDatabaseId": str(row["number"])}
        return (
            common
            | self._thread(row)
            | self._branches(row)
            | self._merge(row)
            | self._reviews(row)
            | self._content(row)
        )

    def _branches(self, row: Row) -> Object:
        return {
            "headRefName": row["head"],
            "headRefOid": self.head(row),
            "headRef": lambda **_: self.ref(f"refs/heads/{row['head']}"),
            "headRepository": lambda **_: self.repository(),
            "headRepositoryOwner": account(OWNER),
            "baseRefName": row["base"],
            "baseRefOid": lambda **_: self.base(row),
            "baseRef": lambda **_: self.ref(f"refs/heads/{row['base']}"),
            "baseRepository": lambda **_: self.repository(),
            "isCrossRepository": False,
            "maintainerCanModify": False,
        }

    def _merge(self, row: Row) -> Object:
        opened = row["state"] == "OPEN"
        return {
            "isDraft": bool(row["draft"]),
            "merged": row["state"] == "MERGED",
            "mergedAt": row["merged"],
            "mergedBy": account(row["merged_by"]) if row["merged_by"] else None,
            "mergeCommit": (lambda **_: self.commit(row["merge_sha"])) if row["merge_sha"] else None,
            "mergeable": lambda **_: self.mergeable(row) if opened else "UNKNOWN",
            "mergeStateStatus": lambda **_: self._merge_state(row) if opened else "UNKNOWN",
            "potentialMergeCommit": None,
            "autoMergeRequest": None,
            "isInMergeQueue": False,
            "isMergeQueueEnabled": False,
            "viewerCanUpdate": True,
        }

    def mergeable(self, row: Row) -> str:
        """Whether head and base go together."""
        try:
            self.origin.merged_tree(self.origin.ref(f"refs/heads/{row['base']}"), self.head(row))
        except NotMergeable:
            return "CONFLICTING"
        return "MERGEABLE"

    def _merge_state(self, row: Row) -> str:
        if row["draft"]:
            return "DRAFT"
        if self.mergeable(row) == "CONFLICTING":
            return "DIRTY"
        return "CLEAN" if self.results.rollup(self.head(row)) in {"", "SUCCESS"} else "UNSTABLE"

    def _reviews(self, row: Row) -> Object:
        given = json.loads(row["reviews"])
        nodes = [self._review(row, number, review) for number, review in enumerate(given, 1)]
        decision = "APPROVED" if any(review["state"] == "APPROVED" for review in given) else None

        def reviews(states: list[str] | None = None, **page: int | str | None) -> Object:
            wanted = [node for node in nodes if not states or node["state"] in states]
            return connection("PullRequestReviewConnection", wanted)(**page)

        latest = list({review["author"]["login"]: review for review in nodes}.values())
        return {
            "reviewDecision": decision,
            "reviews": reviews,
            "latestReviews": connection("PullRequestReviewConnection", latest),
            "reviewRequests": connection("ReviewRequestConnection", []),
        }

    def _review(self, row: Row, number: int, review: Row) -> Object:
        return {
            "__typename": "PullRequestReview",
            "id": f"PRR_{row['number']}_{number}",
            "author": account(review["login"]),
            "authorAssociation": "MEMBER" if review.get("can_push", True) else "NONE",
            "authorCanPushToRepository": review.get("can_push", True),
            "state": review["state"],
            "body": "",
            "submittedAt": review["at"],
            "commit": lambda **_: self.commit(review["sha"]),
            "url": f"{REPOSITORY}/pull/{row['number']}#pullrequestreview-{number}",
            "reactionGroups": reactions(),
        }

    def _content(self, row: Row) -> Object:
        head, base = self.head(row), row["base_sha"]
        title = row["title"]
        return {
            "titleHTML": title.replace("&", "&amp;").replace("<", "&lt;"),
            "bodyText": row["body"],
            "additions": lambda **_: sum(change.added for change in self.origin.changes(base, head)),
            "deletions": lambda **_: sum(change.deleted for change in self.origin.changes(base, head)),
            "changedFiles": lambda **_: len(self.origin.changes(base, head)),
            "files": lambda **page: connection("PullRequestChangedFileConnection", self._files(base, head))(**page),  # noqa: PLW0108
            "commits": lambda **page: connection("PullRequestCommitConnection", self._commits(row))(**page),  # noqa: PLW0108
            "closingIssuesReferences": connection("IssueConnection", []),
            "statusCheckRollup": lambda **_: self.rollup(head),
        }

    def _files(self, base: str, head: str) -> list[Object]:
        counts = [
            (change, {"additions": change.added, "deletions": change.deleted})
            for change in self.origin.changes(base, head)
        ]
        typename = "PullRequestChangedFile"
        return [
            {"__typename": typename, "path": change.path, "changeType": change.kind, **more} for change, more in counts
        ]

    def _commits(self, row: Row) -> list[Object]:
        typename = "PullRequestCommit"
        return [{"__typename": typename, "id": f"PRC_{oid}", "commit": self.commit(oid)} for oid in self.commits(row)]
