"""The forge's things as GraphQL objects: what is cheap is a value, what needs git or the database is a function."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, Any

from pilothouse.harbour.forge.connections import Page, connection
from pilothouse.harbour.forge.people import ACCOUNTS, REPOSITORY, SITE, by_email
from pilothouse.harbour.forge.store import Row, Store, stamp
from pilothouse.harbour.history import BEGAN

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pilothouse.harbour.forge.origin import Origin, Person
    from pilothouse.harbour.forge.results import Results

Object = dict[str, Any]
CREATED = stamp(BEGAN)
REACTIONS = ("THUMBS_UP", "THUMBS_DOWN", "LAUGH", "HOORAY", "CONFUSED", "HEART", "ROCKET", "EYES")


def account(login: str) -> Object:
    """A user, a bot or the organization."""
    found = ACCOUNTS[login]
    value = {
        "__typename": found.kind,
        "id": f"U_{found.number:05}",
        "login": found.login,
        "databaseId": found.number,
        "url": f"{SITE}/{found.login}",
        "avatarUrl": f"https://avatars.githubusercontent.com/u/{found.number}",
    }
    return value if found.kind == "Bot" else value | {"name": found.name, "email": found.email}


def reactions() -> list[Object]:
    """Nobody reacts in the harbour; GitHub lists every kind all the same."""
    users = {"__typename": "ReactingUserConnection", "totalCount": 0}
    return [{"__typename": "ReactionGroup", "content": content, "users": users} for content in REACTIONS]


class CommitObjects(ABC):
    """What hangs on commits: people, checks, refs."""

    def __init__(self, store: Store, origin: Origin, results: Results) -> None:
        self.store, self.origin, self.results = store, origin, results

    @abstractmethod
    def repository(self) -> Object:
        """The repository."""

    @abstractmethod
    def associated(self, oid: str) -> Page:
        """The pull requests that brought a commit."""

    def label(self, name: str) -> Object | None:
        """A label of the repository."""
        row = self.store.row("SELECT * FROM labels WHERE name = ? COLLATE NOCASE", name)
        if row is None:
            return None
        times = {"createdAt": CREATED, "updatedAt": CREATED}
        return {"__typename": "Label", "id": f"LA_{row['name']}", "url": f"{REPOSITORY}/labels/{name}", **times, **row}

    def labels(self, names: Iterable[str]) -> list[Object]:
        """The labels with these names; one that was deleted is left out."""
        return [label for name in names if (label := self.label(name))]

    def _actor(self, person: Person | None) -> Object | None:
        if person is None:
            return None
        known = by_email(person.email)
        user = account(known.login) if known and known.kind == "User" else None
        fields = {"name": person.name, "email": person.email, "date": person.date, "user": user}
        return {"__typename": "GitActor", **fields}

    def git(self, oid: str) -> Object | None:
        """A commit, a tag, a tree or a blob."""
        found = self.origin.object(oid)
        if found is None:
            return None
        common = {"id": f"G_{oid}", "oid": oid, "abbreviatedOid": oid[:7]}
        match found.kind:
            case "commit":
                return self.commit(oid)
            case "tag":
                head, _, message = found.raw.decode().partition("\n\n")
                fields = dict(line.split(" ", 1) for line in head.splitlines())
                tag = {"name": fields["tag"], "message": message, "target": lambda **_: self.git(fields["object"])}
                return {"__typename": "Tag", **common, **tag}
            case "blob":
                text = None if b"\0" in found.raw else found.raw.decode(errors="replace")
                blob = {"text": text, "isBinary": text is None, "byteSize": len(found.raw)}
                return {"__typename": "Blob", **common, **blob}
        return {"__typename": "Tree", **common}

    def commit(self, oid: str) -> Object:
        """A commit that is known to be there."""
        found = self.origin.commit(oid)
        author, committer = self._actor(found.author), self._actor(found.committer)
        parents = found.parents
        return {
            "__typename": "Commit",
            "id": f"G_{oid}",
            "oid": oid,
            "abbreviatedOid": oid[:7],
            "message": found.message,
            "messageHeadline": found.headline,
            "messageBody": found.message.partition("\n")[2].strip("\n"),
            "authoredDate": found.author.date if found.author else CREATED,
            "committedDate": found.committer.date if found.committer else CREATED,
            "author": author,
            "committer": committer,
            "url": f"{REPOSITORY}/commit/{oid}",
            "authors": connection("GitActorConnection", [author]),
            "parents": lambda **page: connection("CommitConnection", map(self.commit, parents))(**page),  # noqa: PLW0108 (git is asked when the field is)
            "associatedPullRequests": lambda **page: self.associated(oid)(**page),  # noqa: PLW0108 (git is asked when the field is)
            "statusCheckRollup": lambda **_: self.rollup(oid),
            "status": lambda **_: self._status(oid),
            "repository": lambda **_: self.repository(),
        }

    def _status(self, oid: str) -> Object | None:
        rows = self.results.current(oid)
        if not rows:
            return None
        state = self.results.combined(oid).upper()
        return {
            "__typename": "Status",
            "id": f"ST_{oid}",
            "state": state,
            "contexts": [self._context(row) for row in rows],
        }

    def _context(self, row: Row) -> Object:
        return {
            "__typename": "StatusContext",
            "id": f"SC_{row['id']}",
            "context": row["context"],
            "state": row["state"].upper(),
            "description": row["description"],
            "targetUrl": f"{REPOSITORY}/commit/{row['sha']}/checks",
            "createdAt": row["created"],
            "isRequired": lambda **_: False,
        }

    def check(self, row: Row) -> Object:
        """One check run."""
        number = self.results.run(row["sha"])
        run = {"__typename": "WorkflowRun", "id": f"WFR_{number}", "databaseId": number, "runNumber": number}
        run |= {"url": f"{REPOSITORY}/actions/runs/{number}", "event": "push"}
        run |= {"workflow": {"__typename": "Workflow", "id": "W_1", "name": "ci"}}
        app = {"__typename": "App", "id": "A_1", "name": "Harbour CI", "slug": "harbour-ci"}
        states = {"status": row["status"].upper(), "conclusion": row["conclusion"] and row["conclusion"].upper()}
        suite = {"__typename": "CheckSuite", "id": f"CS_{number}", "workflowRun": run, "app": app, **states}
        url = f"{REPOSITORY}/actions/runs/{number}/job/{row['id']}"
        return {
            "__typename": "CheckRun",
            "id": f"CR_{row['id']}",
            "databaseId": row["id"],
            "name": row["name"],
            "startedAt": row["started"],
            "completedAt": row["completed"],
            "detailsUrl": url,
            "url": url,
            "title": row["name"],
            "summary": row["summary"],
            "text": None,
            "checkSuite": suite,
            "isRequired": lambda **_: False,
            **states,
        }

    def rollup(self, oid: str) -> Object | None:
        """Checks and statuses of a commit together; null where there are none."""
        state = self.results.rollup(oid)
        if not state:
            return None
        checks = [self.check(row) for row in self.results.checks(oid)]
        contexts = [self._context(row) for row in self.results.current(oid)]
        runs = Counter(check["conclusion"] or check["status"] for check in checks)
        states = Counter(context["state"] for context in contexts)
        counts: Object = {
            "checkRunCount": len(checks),
            "statusContextCount": len(contexts),
            "checkRunCountsByState": _counted("CheckRunStateCount", runs),
            "statusContextCountsByState": _counted("StatusContextStateCount", states),
        }
        page = connection("StatusCheckRollupContextConnection", [*checks, *contexts], **counts)
        return {"__typename": "StatusCheckRollup", "id": f"SCR_{oid}", "state": state, "contexts": page}

    def ref(self, name: str) -> Object | None:
        """A branch or a tag by its full name."""
        oid = self.origin.ref(name)
        if not oid:
            return None
        prefix, _, short = name.rpartition("/") if not name.startswith("refs/heads/") else ("refs/heads", "", name[11:])
        fields = {"id": f"REF_{name}", "name": short, "prefix": f"{prefix}/", "target": lambda **_: self.git(oid)}
        return {"__typename": "Ref", **fields}


def _counted(typename: str, counter: Counter[str]) -> list[Object]:
    return [{"__typename": typename, "count": count, "state": state} for state, count in counter.items()]
