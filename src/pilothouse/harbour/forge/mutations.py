"""What can be changed at the forge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pilothouse.harbour.forge.origin import NotMergeable
from pilothouse.harbour.forge.people import OWNER, VIEWER, signature
from pilothouse.harbour.forge.schema import Refused
from pilothouse.harbour.forge.store import Row, now
from pilothouse.harbour.history import git

if TYPE_CHECKING:
    from collections.abc import Callable

    from pilothouse.harbour.forge.objects import Object
    from pilothouse.harbour.forge.queries import Queries

UNPROCESSABLE = "UNPROCESSABLE"


class Mutations:
    """The root of a mutation.

    Args:
        pushed: told of a branch that the forge itself moved: ref, old sha, new sha.
    """

    def __init__(self, queries: Queries, pushed: Callable[[str, str, str], None]) -> None:
        self._queries, self._store, self._pushed = queries, queries.store, pushed

    def root(self) -> Object:
        """Where a mutation begins."""
        return {
            "__typename": "Mutation",
            "createPullRequest": lambda input: self._pull("Create", self.create_pull(input), input),  # noqa: A006
            "mergePullRequest": lambda input: self._pull("Merge", self._merge(input), input),  # noqa: A006
            "closePullRequest": lambda input: self._pull("Close", self._close(input["pullRequestId"], "pull"), input),  # noqa: A006
            "updatePullRequest": lambda input: self._pull("Update", self._update(input), input),  # noqa: A006
            "createIssue": lambda input: self._issue("Create", self._create_issue(input), input),  # noqa: A006
            "closeIssue": lambda input: self._issue("Close", self._close(input["issueId"], "issue"), input),  # noqa: A006
            "addComment": self._comment,
            "addLabelsToLabelable": self._add_labels,
        }

    def _pull(self, verb: str, row: Row, given: Row) -> Object:
        more = {"clientMutationId": given.get("clientMutationId"), "pullRequest": self._queries.pull(row)}
        return {"__typename": f"{verb}PullRequestPayload", **more}

    def _issue(self, verb: str, row: Row, given: Row) -> Object:
        more = {"clientMutationId": given.get("clientMutationId"), "issue": self._queries.issue(row)}
        return {"__typename": f"{verb}IssuePayload", **more}

    def _row(self, identity: str, kind: str = "") -> Row:
        prefix, _, number = identity.partition("_")
        kinds = {"PR": "pull", "I": "issue"}
        row = self._store.thread(int(number), kinds[prefix]) if prefix in kinds and number.isdigit() else None
        if row is None or (kind and row["kind"] != kind):
            raise Refused(f"Could not resolve to a node with the global id of '{identity}'", "NOT_FOUND")
        return row

    def _names(self, identities: list[str] | None) -> list[str]:
        names = [identity.removeprefix("LA_") for identity in identities or []]
        for name in names:
            if self._queries.label(name) is None:
                raise Refused(f"Could not resolve to a node with the global id of 'LA_{name}'", "NOT_FOUND")
        return names

    def create_pull(self, given: Row) -> Row:
        """Opens a pull request from what createPullRequest takes."""
        origin = self._queries.origin
        base, head = given["baseRefName"], given["headRefName"].removeprefix(f"{OWNER}:")
        base_sha, head_sha = (origin.ref(f"refs/heads/{name}") for name in (base, head))
        for name, sha in (("Base", base_sha), ("Head", head_sha)):
            if not sha:
                raise Refused(f"{name} ref must be a branch", UNPROCESSABLE)
        if not origin.between(base_sha, head_sha):
            raise Refused(f"No commits between {base} and {head}", UNPROCESSABLE)
        rows = self._store.threads("pull")
        if any((row["state"], row["head"], row["base"]) == ("OPEN", head, base) for row in rows):
            raise Refused(f"A pull request already exists for {OWNER}:{head}.", UNPROCESSABLE)
        row = self._store.open_thread(
            "pull",
            VIEWER,
            title=given["title"],
            body=given.get("body") or "",
            head=head,
            base=base,
            head_sha=head_sha,
            base_sha=origin.base(base_sha, head_sha),
            draft=int(bool(given.get("draft"))),
        )
        git("update-ref", f"refs/pull/{row['number']}/head", head_sha, cwd=origin.folder)
        return row

    def _merge(self, given: Row) -> Row:
        row = self._row(given["pullRequestId"], "pull")
        method = given.get("mergeMethod") or "MERGE"
        return self.merge(
            row, method, given.get("commitHeadline"), given.get("commitBody"), given.get("expectedHeadOid")
        )

    def merge(self, row: Row, method: str, headline: str | None, body: str | None, expected: str | None) -> Row:
        """Merges an open pull request."""
        head = self._queries.head(row)
        if row["state"] != "OPEN":
            raise Refused(
                "Pull Request is not mergeable" if row["state"] == "CLOSED" else "Pull Request is already merged",
                UNPROCESSABLE,
            )
        if row["draft"]:
            raise Refused("Pull Request is still a draft", UNPROCESSABLE)
        if expected and expected != head:
            raise Refused("Head branch was modified. Review and try the merge again.", UNPROCESSABLE)
        if method == "REBASE":
            raise Refused("Rebase merges are not allowed on this repository.", UNPROCESSABLE)
        origin, number = self._queries.origin, row["number"]
        squash = method == "SQUASH"
        merged_title = (
            f"{row['title']} (#{number})" if squash else f"Merge pull request #{number} from {OWNER}/{row['head']}"
        )
        message = (
            f"{headline or merged_title}\n\n{row['title'] if body is None and not squash else body or ''}".rstrip()
        )
        author = signature(row["author"] if squash else VIEWER)
        base = origin.ref(f"refs/heads/{row['base']}")
        try:
            old, new = origin.merge(row["base"], head, message, author, squash=squash)
        except NotMergeable as error:
            raise Refused(str(error), UNPROCESSABLE) from error
        git("update-ref", f"refs/pull/{number}/head", head, cwd=origin.folder)
        done = self._merged(row, head, origin.base(base, head), new)
        self._pushed(f"refs/heads/{row['base']}", old, new)
        return done

    def _merged(self, row: Row, head: str, base: str, commit: str) -> Row:
        who = {"merged_by": VIEWER, "merged": now(), "closed": now()}
        return self._store.update(row["number"], state="MERGED", merge_sha=commit, head_sha=head, base_sha=base, **who)

    def landed(self, ref: str, old: str, new: str) -> None:
        """Marks open pull requests whose head a push brought into their base, as GitHub does."""
        origin = self._queries.origin
        for row in self._store.threads("pull"):
            if row["state"] == "OPEN" and ref == f"refs/heads/{row['base']}":
                head = self._queries.head(row)
                if origin.contains(new, head):
                    git("update-ref", f"refs/pull/{row['number']}/head", head, cwd=origin.folder)
                    self._merged(row, head, origin.base(old, head), new)

    def _close(self, identity: str, kind: str) -> Row:
        row = self._row(identity, kind)
        if row["state"] != "OPEN":
            raise Refused("it is not open", UNPROCESSABLE)
        head = {"head_sha": self._queries.head(row)} if kind == "pull" else {}
        return self._store.update(row["number"], state="CLOSED", closed=now(), **head)

    def _update(self, given: Row) -> Row:
        row = self._row(given["pullRequestId"], "pull")
        changes = {name: given[name] for name in ("title", "body") if given.get(name) is not None}
        if given.get("labelIds") is not None:
            changes["labels"] = self._names(given["labelIds"])
        return self._store.update(row["number"], **changes)

    def _create_issue(self, given: Row) -> Row:
        if given.get("projectIds") or given.get("assigneeIds"):
            raise Refused("the sandbox has no projects and assigns nobody", UNPROCESSABLE)
        labels = self._names(given.get("labelIds"))
        return self._store.open_thread(
            "issue", VIEWER, title=given["title"], body=given.get("body") or "", labels=labels
        )

    def _comment(self, input: Row) -> Object:  # noqa: A002 (GitHub's name of the argument)
        row = self._row(input["subjectId"])
        values: dict[str, Any] = {"thread": row["number"], "author": VIEWER, "body": input["body"], "created": now()}
        number = self._store.put("comments", **values)
        node = self._queries.comment({"id": number, **values})
        edge = {"__typename": "IssueCommentEdge", "node": node, "cursor": "Y3Vyc29yOjE="}
        subject = self._queries.thread(row)
        more = {"clientMutationId": input.get("clientMutationId"), "commentEdge": edge, "subject": subject}
        return {"__typename": "AddCommentPayload", **more}

    def _add_labels(self, input: Row) -> Object:  # noqa: A002 (GitHub's name of the argument)
        row = self._row(input["labelableId"])
        names = dict.fromkeys([*json.loads(row["labels"]), *self._names(input["labelIds"])])
        changed = self._store.update(row["number"], labels=list(names))
        more = {"clientMutationId": input.get("clientMutationId"), "labelable": self._queries.thread(changed)}
        return {"__typename": "AddLabelsToLabelablePayload", **more}
