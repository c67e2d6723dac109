"""The REST addresses that a release needs; any other address is a 404, and a wrong body a 422."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

from pilothouse.harbour.forge import documents
from pilothouse.harbour.forge.documents import Documents
from pilothouse.harbour.forge.people import API, NAME, OWNER, REPOSITORY_API, VIEWER
from pilothouse.harbour.forge.reports import Reports
from pilothouse.harbour.forge.schema import Refused
from pilothouse.harbour.forge.store import Row, now

if TYPE_CHECKING:
    from pilothouse.harbour.forge.mutations import Mutations
    from pilothouse.harbour.forge.queries import Queries

HOME = f"/repos/{OWNER}/{NAME}"
MOST_A_PAGE = 100
USUAL_PAGE = 30


class Failed(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.more = status, message, more


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the API."""

    method: str
    path: str
    query: dict[str, str]
    body: Any


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


Route = Callable[..., Any]


def _found(row: Row | None) -> Row:
    if row is None:
        raise Failed(404, "Not Found")
    return row


class Rest:
    """Answers the requests."""

    def __init__(self, queries: Queries, mutations: Mutations) -> None:
        self._queries, self._mutations, self._store = queries, mutations, queries.store
        self._results, self._origin = queries.results, queries.origin
        self._documents, self._reports = Documents(queries), Reports(queries)
        self._routes: list[tuple[str, re.Pattern[str], Route]] = [
            (method, re.compile(path), route) for method, path, route in self._table()
        ]

    def _table(self) -> list[tuple[str, str, Route]]:
        commit, run = rf"{HOME}/commits/(?P<ref>.+)", rf"{HOME}/actions/runs/(?P<number>\d+)"
        pull, issue = rf"{HOME}/pulls/(?P<number>\d+)", rf"{HOME}/issues/(?P<number>\d+)"
        deployment, release = rf"{HOME}/deployments/(?P<number>\d+)", rf"{HOME}/releases/(?P<number>\d+)"
        check = rf"{HOME}/check-runs/(?P<number>\d+)"
        return [
            ("GET", "/", lambda _: documents.root()),
            ("GET", "/user", lambda _: documents.viewer()),
            ("GET", HOME, self._repository),
            ("GET", f"{commit}/status", self._status),
            ("GET", f"{commit}/statuses", self._statuses),
            ("GET", f"{commit}/check-runs", self._checks),
            ("GET", f"{commit}/pulls", self._associated),
            ("GET", commit, lambda _, ref: self._documents.commit(self._origin.commit(self._sha(ref)))),
            ("GET", check, lambda _, number: self._reports.check(_found(self._results.check(int(number))))),
            ("GET", f"{check}/annotations", lambda _, number: [_found(self._results.check(int(number)))][:0]),
            ("GET", f"{HOME}/pulls", self._pulls),
            ("POST", f"{HOME}/pulls", self._create_pull),
            ("GET", pull, lambda _, number: self._documents.pull(self._pull(number))),
            ("PUT", f"{pull}/merge", self._merge),
            ("GET", f"{pull}/reviews", lambda _, number: self._documents.reviews(self._pull(number))),
            ("GET", f"{HOME}/issues", self._issues),
            ("GET", issue, self._issue),
            (
                "GET",
                f"{HOME}/labels",
                lambda _: [documents.label(row) for row in self._store.rows("SELECT * FROM labels")],
            ),
            ("GET", f"{HOME}/milestones", self._milestones),
            ("GET", f"{HOME}/branches/(?P<name>.+)", self._branch),
            ("GET", f"{HOME}/rules/branches/(?P<name>.+)", lambda _, name: self._documents.rules(name)),
            ("GET", f"{HOME}/deployments", self._deployments),
            ("GET", deployment, lambda _, number: self._reports.deployment(self._row("deployments", number))),
            ("GET", f"{deployment}/statuses", self._deployment_statuses),
            ("GET", f"{HOME}/releases", self._releases),
            ("POST", f"{HOME}/releases", self._create_release),
            ("GET", f"{HOME}/releases/latest", self._latest_release),
            ("GET", f"{HOME}/releases/tags/(?P<tag>.+)", self._release_by_tag),
            ("GET", release, lambda _, number: self._documents.release(self._row("releases", number))),
            ("PATCH", release, self._edit_release),
            ("GET", f"{HOME}/git/ref/(?P<ref>.+)", self._ref),
            ("GET", f"{HOME}/actions/runs", self._runs),
            ("GET", run, lambda _, number: self._reports.run(self._run(number))),
            ("GET", f"{run}/jobs", self._jobs),
            (
                "GET",
                f"{run}/artifacts",
                lambda _, number: {"total_count": 0, "artifacts": []} if self._run(number) else None,
            ),
            ("GET", f"{HOME}/actions/workflows", lambda _: {"total_count": 1, "workflows": [documents.WORKFLOW]}),
            ("GET", f"{HOME}/actions/workflows/(1|ci.yml)", lambda _: documents.WORKFLOW),
        ]

    def answer(self, method: str, target: str, body: Any) -> Reply:
        """Answers one request.

        Args:
            method: GET, POST and so on.
            target: path and query of the address.
            body: the decoded JSON body, None where there is none.
        """
        url = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        request = Request(method, unquote(url.path), query, body)
        try:
            for wanted, pattern, route in self._routes:
                match = pattern.fullmatch(request.path)
                if match and wanted == method:
                    return self._reply(request, route(request, **match.groupdict()))
            raise Failed(404, "Not Found")  # noqa: TRY301
        except Failed as error:
            return Reply(error.status, _error(error.status, error.message) | error.more)
        except Refused as error:
            details = [{"resource": "PullRequest", "code": "custom", "message": str(error)}]
            return Reply(422, _error(422, "Validation Failed") | {"errors": details})

    def _reply(self, request: Request, body: Any) -> Reply:
        if isinstance(body, Reply):
            return body
        name = next((name for name in ("check_runs", "workflow_runs") if isinstance(body, dict) and name in body), "")
        items = body[name] if name else body
        if not isinstance(items, list):
            return Reply(200, body)
        size, number = self._page(request)
        cut = items[(number - 1) * size : number * size]
        headers = {}
        if number * size < len(items):
            following = urlencode(request.query | {"page": str(number + 1)})
            headers["Link"] = f'<{API}{request.path}?{following}>; rel="next"'
        return Reply(200, body | {name: cut} if name else cut, headers)

    @staticmethod
    def _page(request: Request) -> tuple[int, int]:
        try:
            size, number = int(request.query.get("per_page", USUAL_PAGE)), int(request.query.get("page", 1))
        except ValueError as error:
            raise Failed(422, "Validation Failed") from error
        return min(max(size, 1), MOST_A_PAGE), max(number, 1)

    def _sha(self, ref: str) -> str:
        sha = self._origin.resolve(ref)
        if not sha:
            raise Failed(422, f"No commit found for SHA: {ref}")
        return sha

    def _row(self, table: str, number: str) -> Row:
        return _found(self._store.row(f"SELECT * FROM {table} WHERE id = ?", int(number)))

    def _pull(self, number: str) -> Row:
        return _found(self._store.thread(int(number), "pull"))

    def _repository(self, _: Request) -> Any:
        return documents.repository(len(self._store.rows("SELECT number FROM threads WHERE state = 'OPEN'")))

    def _status(self, _: Request, ref: str) -> Any:
        return self._reports.combined(self._sha(ref))

    def _statuses(self, _: Request, ref: str) -> Any:
        creator = {"creator": documents.user(VIEWER)}
        return [self._reports.status(row) | creator for row in self._results.statuses(self._sha(ref))]

    def _checks(self, request: Request, ref: str) -> Any:
        rows = self._results.checks(self._sha(ref))
        for name, column in (("check_name", "name"), ("status", "status")):
            rows = [row for row in rows if name not in request.query or row[column] == request.query[name]]
        return {"total_count": len(rows), "check_runs": [self._reports.check(row) for row in rows]}

    def _associated(self, _: Request, ref: str) -> Any:
        return [self._documents.pull_in_list(row) for row in self._queries.bringing(self._sha(ref))]

    def _threads(self, request: Request, *kinds: str) -> list[Row]:
        state = request.query.get("state", "open")
        labels = set(filter(None, request.query.get("labels", "").split(",")))
        rows = [row for kind in kinds for row in self._store.threads(kind)]
        rows = [row for row in rows if state == "all" or (row["state"] == "OPEN") == (state == "open")]
        wanted = {name: request.query[name] for name in ("base", "head") if name in request.query}
        wanted = {name: value.removeprefix(f"{OWNER}:") for name, value in wanted.items()}
        found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
        names = {row["number"]: {label["name"] for label in self._documents.labels(row)} for row in found}
        return sorted((row for row in found if labels <= names[row["number"]]), key=lambda row: -row["number"])

    def _pulls(self, request: Request) -> Any:
        return [self._documents.pull_in_list(row) for row in self._threads(request, "pull")]

    def _issues(self, request: Request) -> Any:
        return [self._documents.issue(row) for row in self._threads(request, "issue", "pull")]

    def _issue(self, _: Request, number: str) -> Any:
        row = self._store.thread(int(number), "issue") or self._store.thread(int(number), "pull")
        return self._documents.issue(_found(row))

    def _body(self, request: Request, *required: str) -> Row:
        if not isinstance(request.body, dict):
            raise Failed(400, "Problems parsing JSON")
        if missing := [name for name in required if not isinstance(request.body.get(name), str)]:
            errors = [{"resource": "Body", "field": name, "code": "missing_field"} for name in missing]
            raise Failed(422, "Validation Failed", errors=errors)
        return request.body

    def _create_pull(self, request: Request) -> Reply:
        body = self._body(request, "title", "head", "base")
        given = {"title": body["title"], "body": body.get("body"), "draft": body.get("draft", False)}
        row = self._mutations.create_pull(given | {"baseRefName": body["base"], "headRefName": body["head"]})
        return Reply(201, self._documents.pull(row))

    def _merge(self, request: Request, number: str) -> Any:
        body, row = request.body or {}, self._pull(number)
        method = str(body.get("merge_method", "merge")).upper()
        try:
            done = self._mutations.merge(
                row, method, body.get("commit_title"), body.get("commit_message"), body.get("sha")
            )
        except Refused as error:
            raise Failed(409 if "modified" in str(error) else 405, str(error)) from error
        return {"sha": done["merge_sha"], "merged": True, "message": "Pull Request successfully merged"}

    def _deployments(self, request: Request) -> Any:
        rows = self._store.rows("SELECT * FROM deployments ORDER BY id DESC")
        for name in ("environment", "sha", "ref"):
            rows = [row for row in rows if name not in request.query or row[name] == request.query[name]]
        return [self._reports.deployment(row) for row in rows]

    def _branch(self, _: Request, name: str) -> Any:
        head = self._origin.ref(f"refs/heads/{name}")
        if not head:
            raise Failed(404, "Branch not found")
        return self._documents.branch(name, self._origin.commit(head))

    def _milestones(self, request: Request) -> Any:
        wanted = request.query.get("state", "open")
        rows = self._store.rows("SELECT * FROM milestones ORDER BY number DESC")
        return [self._reports.milestone(row) for row in rows if wanted in {"all", row["state"]}]

    def _deployment_statuses(self, _: Request, number: str) -> Any:
        row = self._row("deployments", number)
        return [self._reports.deployment_status(row)] if row["state"] else []

    def _releases(self, _: Request) -> Any:
        return [self._documents.release(row) for row in self._store.rows("SELECT * FROM releases ORDER BY id DESC")]

    def _latest_release(self, _: Request) -> Any:
        row = self._store.row("SELECT * FROM releases WHERE draft = 0 AND prerelease = 0 ORDER BY id DESC")
        return self._documents.release(_found(row))

    def _release_by_tag(self, _: Request, tag: str) -> Any:
        return self._documents.release(
            _found(self._store.row("SELECT * FROM releases WHERE tag = ? AND draft = 0", tag))
        )

    def _create_release(self, request: Request) -> Reply:
        body = self._body(request, "tag_name")
        tag, invalid = body["tag_name"], {"resource": "Release", "field": "tag_name"}
        if self._store.row("SELECT id FROM releases WHERE tag = ?", tag):
            raise Failed(422, "Validation Failed", errors=[invalid | {"code": "already_exists"}])
        if not self._origin.ref(f"refs/tags/{tag}"):
            # GitHub would make the tag; in the harbour a tag that nobody pushed is a mistake worth seeing.
            raise Failed(
                422, "Validation Failed", errors=[invalid | {"code": "custom", "message": "the tag does not exist"}]
            )
        draft = bool(body.get("draft"))
        number = self._store.put(
            "releases",
            tag=tag,
            name=body.get("name") or tag,
            body=body.get("body") or "",
            author=VIEWER,
            target=body.get("target_commitish") or "main",
            draft=int(draft),
            prerelease=int(bool(body.get("prerelease"))),
            created=now(),
            published=None if draft else now(),
        )
        document = self._documents.release(self._row("releases", str(number)))
        return Reply(201, document, {"Location": document["url"]})

    def _edit_release(self, request: Request, number: str) -> Any:
        body, row = self._body(request), self._row("releases", number)
        texts = {name: body[name] for name in ("name", "body") if isinstance(body.get(name), str)}
        flags = {name: int(body[name]) for name in ("draft", "prerelease") if isinstance(body.get(name), bool)}
        changed = row | texts | flags
        if not changed["draft"] and not changed["published"]:
            changed["published"] = now()
        self._store.put("releases", **changed)
        return self._documents.release(changed)

    def _ref(self, _: Request, ref: str) -> Any:
        oid = self._origin.ref(f"refs/{ref}")
        found = self._origin.object(oid) if oid else None
        if found is None:
            raise Failed(404, "Not Found")
        url = f"{REPOSITORY_API}/git/{found.kind}s/{oid}"
        pointed = {"sha": oid, "type": found.kind, "url": url}
        return {
            "ref": f"refs/{ref}",
            "node_id": f"REF_{ref}",
            "url": f"{REPOSITORY_API}/git/refs/{ref}",
            "object": pointed,
        }

    def _runs(self, request: Request) -> Any:
        shas = dict.fromkeys(row["sha"] for row in self._results.all_checks())
        runs = [self._reports.run(sha) for sha in shas if request.query.get("head_sha", sha) == sha]
        for name, column in (("branch", "head_branch"), ("event", "event")):
            runs = [run for run in runs if request.query.get(name, run[column]) == run[column]]
        if wanted := request.query.get("status"):
            runs = [run for run in runs if wanted in {run["status"], run["conclusion"]}]
        return {"total_count": len(runs), "workflow_runs": runs}

    def _run(self, number: str) -> str:
        row = self._results.check(int(number))
        if row is None or self._results.run(row["sha"]) != int(number):
            raise Failed(404, "Not Found")
        return str(row["sha"])

    def _jobs(self, _: Request, number: str) -> Any:
        jobs = [self._reports.job(row) for row in self._results.checks(self._run(number))]
        return {"total_count": len(jobs), "jobs": jobs}


def _error(status: int, message: str) -> Row:
    return {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
