"""The contents of a promotion of 100 and of 1,000 pull requests, with a forge that takes 50 ms a request.

The forge is a program of its own (``pulls.py serve``), so that its work is nobody's here. It answers the two kinds of
question that are compared, the tool's batches and ``gh pr view``, out of its head; that our questions are GitHub's is
what tests/harbour/test_forge_promotion.py shows.
"""

from __future__ import annotations

import json
import os
import re
import resource
import socketserver
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar, Self

import measure

from pilothouse import config, settings
from pilothouse.app import SystemClock
from pilothouse.harbour import provision
from pilothouse.harbour.projectfile import Project
from pilothouse_tools import child, pulls
from pilothouse_tools.context import Context
from pilothouse_tools.door import Arguments
from pilothouse_tools.observe.contents import TOOLS

FEW, MANY = 100, 1_000
LATENCY = 0.05  # seconds a request
ROUNDS = 5
VIEWS = 12  # of gh, each like the other; the price of a hundred is five times that
AT_MOST = 10  # processes and requests that do not grow with the number of pull requests
_FIELDS = "number,title,url,body,author,mergedAt,mergedBy,baseRefName,headRefName,headRefOid,mergeCommit,reviews"


def rows(folder: Path) -> list[measure.Row]:
    """Time, requests and processes of many against few; CPU of a batch against one ``gh pr view`` a pull request."""
    with tempfile.TemporaryDirectory(prefix="bp-") as place:  # a socket's path is short by nature
        bench = _Bench(folder, Path(place))
        with bench.forge():
            return [*bench.growth(), *bench.batch()]


class _Bench:
    """A clone with two ranges, and the forge beside it."""

    def __init__(self, folder: Path, sockets: Path) -> None:
        self.folder, self.socket, self.log = folder, sockets / "gh.sock", sockets / "requests"
        self.project, self.shas, heads = _history(folder)
        (folder / "shas.json").write_text(json.dumps([self.shas, heads]))
        found = provision.gh(folder / "gh", self.socket)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environ = {**os.environ, **found, "PATH": path}

    @contextmanager
    def forge(self) -> Iterator[None]:
        """The forge, for as long as this takes."""
        argv = [sys.executable, __file__, "serve", str(self.socket), str(self.folder / "shas.json"), str(self.log)]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
            try:
                until = time.monotonic() + 20
                while not self.socket.exists():
                    if time.monotonic() > until:
                        raise SystemExit("bench: the forge did not start")
                    time.sleep(0.02)
                yield
            finally:
                process.terminate()

    def context(self, name: str) -> Context:
        """The tools' context, with a scratch folder of its own."""
        scratch = self.folder / name
        scratch.mkdir(exist_ok=True)
        product = config.load(self.project / "pilothouse.yml").products["acme"]
        passed = ("GH_CONFIG_DIR",)
        product = replace(
            product,
            forge=settings.Forge("github", "harbour/acme", ("GH_TOKEN",), passed),
            audit=settings.Audit(areas={"source": ("src/**",)}),
        )
        now = datetime.now(UTC).isoformat()
        return Context(product, self.project, self.environ, SystemClock(), {}, scratch, "", now)

    def look(self, context: Context, number: int) -> None:
        """The contents of the first so many pull requests."""
        facts = TOOLS[0].look(context, Arguments({"from": self.shas[0], "to": self.shas[number]})).facts
        if facts["counts"]["pulls"] != number or facts["unlinked"] or facts["missing_archives"] or facts["unreviewed"]:  # type: ignore[index,call-overload]
            raise SystemExit(f"bench: not all of {number} pull requests were found: {facts['counts']}")

    def requests(self) -> int:
        """How many the forge has had."""
        return self.log.stat().st_size if self.log.exists() else 0

    def growth(self) -> list[measure.Row]:
        """Many against few: wall time, and what was asked and started."""
        context = self.context("growth")
        self.look(context, FEW)  # the scratch repository is made once
        walls: dict[int, list[float]] = {FEW: [], MANY: []}
        counted: dict[int, tuple[int, int]] = {}
        for _ in range(ROUNDS):
            for number, found in walls.items():
                before, started, began = self.requests(), _Children(), time.monotonic()
                with started:
                    self.look(context, number)
                found.append(time.monotonic() - began)
                counted[number] = (self.requests() - before, started.number)
        ratio = statistics.median(walls[MANY]) / statistics.median(walls[FEW])
        asked, started_ = counted[MANY]
        note = f"{statistics.median(walls[FEW]):.2f} s and {statistics.median(walls[MANY]):.2f} s; 50 ms a request"
        return [
            measure.Row(f"contents of {MANY} / of {FEW} pull requests (wall)", ratio, 6, note=note),
            measure.Row(f"requests for {MANY} pull requests", asked, 2 * MANY // 100 + AT_MOST, unit=""),
            measure.Row(f"requests for {FEW} pull requests", counted[FEW][0], 2 + AT_MOST, unit=""),
            measure.Row("processes beyond the requests", started_ - asked, AT_MOST, unit="", note=f"{started_} in all"),
        ]

    def batch(self) -> list[measure.Row]:
        """A hundred pull requests in a batch against one ``gh pr view`` each, in the same minutes, by CPU."""
        context = self.context("batch")
        argv = ["gh", "pr", "view", "7", "-R", "harbour/acme", "--json", _FIELDS]
        argv[0] = child.resolve("gh", self.environ)
        batches: list[float] = []
        views: list[float] = []
        whole: list[float] = []
        self.look(context, FEW)
        for _ in range(ROUNDS):
            views += [measure.run(argv, env=self.environ).cpu for _ in range(VIEWS)]
            began = _cpu()
            found = pulls.of_commits(context, self.shas[1 : FEW + 1])
            batches.append(_cpu() - began)
            began = _cpu()
            self.look(context, FEW)
            whole.append(_cpu() - began)
            if len(found.pulls) != FEW:
                raise SystemExit(f"bench: {len(found.pulls)} pull requests were found, not {FEW}")
        view = statistics.median(views)
        ratio = FEW * view / statistics.median(batches)
        everything = FEW * view / statistics.median(whole)
        note = f"{view * 1000:.0f} ms a view, {statistics.median(batches) * 1000:.0f} ms a batch"
        return [
            measure.Row(f"gh pr view of {FEW} / one batch (CPU)", ratio, 50, at_least=True, note=note),
            measure.Row(f"gh pr view of {FEW} / audit.contents whole (CPU)", everything, note="with git's part"),
        ]


class _Children:
    """Counts the children that tools start."""

    def __init__(self) -> None:
        self.number = 0

    def __enter__(self) -> Self:
        self._run = child.run

        def counted(*arguments: Any, **more: Any) -> child.Finished:
            self.number += 1
            return self._run(*arguments, **more)

        child.run = counted
        return self

    def __exit__(self, *_: object) -> None:
        child.run = self._run


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _history(folder: Path) -> tuple[Path, list[str], list[str]]:
    """A clone, the commits of its main, oldest first, and the head of the pull request that each but the first is of.

    The heads are at the remote alone, as after a squash.
    """
    origin, project = folder / "origin.git", folder / "acme"
    git = ["git", "-c", "gc.auto=0", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "--quiet", "--bare", str(origin)], check=True)
    subprocess.run([*git, "-C", str(origin), "fast-import", "--quiet"], input=b"".join(_stream()), check=True)
    subprocess.run([*git, "clone", "--quiet", "--no-hardlinks", str(origin), str(project)], check=True)
    line = [*git, "-C", str(origin), "rev-list", "--reverse", "main"]
    shas = subprocess.run(line, check=True, capture_output=True, text=True).stdout.split()
    pulled = [*git, "-C", str(origin), "for-each-ref", "--format=%(refname) %(objectname)", "refs/pull"]
    found = dict(
        row.split() for row in subprocess.run(pulled, check=True, capture_output=True, text=True).stdout.splitlines()
    )
    return project, shas, [shas[0], *(found[f"refs/pull/{number}/head"] for number in range(1, len(shas)))]


def _stream() -> Iterator[bytes]:
    urls = {"staging": "http://127.0.0.1:9", "production": "http://127.0.0.1:10"}
    project = Project(urls, 1, scripted_approval=False).files()
    for number in range(MANY + 1):
        files = {f"src/part{number % 40}/file{number}.py": f"value = {number}\n"} if number else dict(project)
        said = f"feat: part {number} (#{number})\n\nRefs: ACME-{number}\n" if number else "chore: begin\n"
        person = f"Noor <noor@acme.test> {1_700_000_000 + number * 60} +0000"
        for ref, mark in ((f"refs/pull/{number}/head", MANY + number + 2), ("refs/heads/main", number + 1)):
            if number or ref == "refs/heads/main":
                head = [f"commit {ref}", f"mark :{mark}", f"author {person}", f"committer {person}"]
                text = said if ref == "refs/heads/main" else said.replace(f" (#{number})", "")
                lines = [
                    *head,
                    f"data {len(text)}",
                    text,
                    *([f"from :{max(number - 3, 1)}" if text != said else f"from :{number}"] if number else []),
                ]
                lines += [f"M 100644 inline {path}\ndata {len(text.encode())}\n{text}" for path, text in files.items()]
                yield ("\n".join(lines) + "\n").encode()
    head = ["commit refs/heads/compliance-archives", f"author {person}", f"committer {person}", "data 8", "archives"]
    archives = [f"M 100644 inline archives/pr-{number}.md\ndata 5\nwhy.\n" for number in range(1, MANY + 1)]
    yield ("\n".join([*head, *archives]) + "\n").encode()


# -- the forge --------------------------------------------------------------------------------------------------------


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    numbers: ClassVar[dict[str, int]] = {}
    shas: ClassVar[list[str]] = []
    heads: ClassVar[list[str]] = []
    log: ClassVar[Path]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.log.open("a") as counted:
            counted.write(".")
        time.sleep(LATENCY)
        query = body["query"]
        found: dict[str, Any] = {}
        for alias, sha in re.findall(r'(\w+): object\(oid: "([0-9a-f]{40})"\)', query):
            page = {"nodes": [self.pull(self.numbers[sha])], "pageInfo": _LAST}
            found[alias] = {"repository": _HOME, "associatedPullRequests": page}
        for alias, number in re.findall(r"(\w+): pullRequest\(number: (\d+)\)", query):
            found[alias] = self.pull(int(number))
        if "PullRequestByNumber" in query:
            found["pullRequest"] = self.pull(int(body["variables"]["pr_number"]))
        content = json.dumps({"data": {"repository": found}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def pull(self, number: int) -> dict[str, Any]:
        """A pull request as either kind of question wants it."""
        sha = self.shas[number]
        head = self.heads[number]
        approval = {"state": "APPROVED", "author": {"login": "ada"}, "authorCanPushToRepository": True,
                    "commit": {"oid": head}}  # fmt: skip
        return {
            "number": number, "id": f"PR_{number}", "title": f"Part {number}", "url": f"https://github.test/{number}",
            "body": f"Why part {number} is wanted: see ACME-{number}.\n" * 8, "merged": True, "state": "MERGED",
            "mergedAt": "2026-11-20T10:00:00Z", "author": {"login": "noor"}, "mergedBy": {"login": "ada"},
            "baseRefName": "staging", "headRefName": f"part-{number}", "headRefOid": head, "mergeCommit": {"oid": sha},
            "commits": {"totalCount": 1}, "repository": _HOME,
            "reviews": {"nodes": [approval], "pageInfo": _LAST, "totalCount": 1},
        }  # fmt: skip

    def address_string(self) -> str:
        return "gh"

    def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002


_HOME = {"nameWithOwner": "harbour/acme"}
_LAST = {"hasNextPage": False, "endCursor": None}


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 64


def _serve(address: str, shas: str, log: str) -> None:
    _Answers.shas, _Answers.heads = json.loads(Path(shas).read_text())
    _Answers.numbers = {sha: number for number, sha in enumerate(_Answers.shas)}
    _Answers.log = Path(log)
    with _Server(address, _Answers) as server:
        server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        _serve(*sys.argv[2:5])
    else:
        with tempfile.TemporaryDirectory(prefix="bench-") as where:
            for row in rows(Path(where).resolve()):
                print(f"{row.name:<58} {row.ratio:7.2f} {row.budget} {row.note}")
