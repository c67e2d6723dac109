"""Writing a record to the audit branch and promoting, against the recipes with a working tree that people use.

The branch holds the archives of 100 or of 20,000 pull requests, and a record for every ten of them. Both sides push to it by turns, so
that each finds a tip that it has not seen. CPU time of the acts and of all their git children, the probe and the read
back from the remote included.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import resource
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import measure

from pilothouse import config
from pilothouse.app import SystemClock
from pilothouse.canonical import digest
from pilothouse.harbour.projectfile import Project
from pilothouse.model import Permit, Presence
from pilothouse.settings import Audit
from pilothouse_tools.context import Context
from pilothouse_tools.toolbox import Toolbox

FEW, MANY = 100, 20_000
FILES = 1_500  # in the tree that is promoted
ROUNDS = 5
BRANCH = "compliance-archives"
SHA = "a" * 40
_BODY = "What was changed, why, who looked at it, and how it was tried.\n" * 4


def rows(folder: Path) -> list[measure.Row]:
    """The rows; the user's clone must be byte for byte as it was."""
    found: dict[int, tuple[float, float, float]] = {}
    changed = 0
    for number in (FEW, MANY):
        place = folder / str(number)
        place.mkdir()
        project = _project(place, number)
        before = _bytes(project)
        found[number] = _archives(project, place, number)
        changed += _bytes(project) != before
    promote, whole, moved = _promotions(folder / str(MANY) / "promoted")
    (few, few_alone, small), (many, many_alone, large) = found[FEW], found[MANY]
    return [
        measure.Row("write a record / worktree, copy, commit, push, remove", many / large, 0.2,
                    note=f"the branch has {MANY} archives; CPU {many * 1000:.0f} ms"),
        measure.Row(f"the same where it has {FEW} archives", few / small, note="the recipe writes that many files"),
        measure.Row(f"write a record, {MANY} archives / {FEW}", many_alone / few_alone, 1.2),
        measure.Row("the same right after somebody else's commit", many / few, note="the remote packs its tip anew"),
        measure.Row("promote / checkout, merge, push", promote, 0.25, note=f"with probe and read-back {whole:.2f} ×"),
        measure.Row("clones in which a byte changed", changed + moved, 0, unit="", note="working tree, index, all of .git"),
    ]  # fmt: skip


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _spent(action: Callable[[], object]) -> float:
    began = _cpu()
    action()
    return _cpu() - began


def _bytes(project: Path) -> str:
    """One digest of every file of a clone, its .git included."""
    total = hashlib.sha256()
    for file in sorted(project.rglob("*")):
        if file.is_file():
            total.update(str(file.relative_to(project)).encode() + b"\0" + file.read_bytes())
    return total.hexdigest()


def _git(*arguments: str, cwd: Path, stdin: bytes = b"") -> str:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ("-c", "user.name=Bench", "-c", "user.email=bench@acme.test", "-c", "gc.auto=0")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=cwd, env=env, input=stdin, capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"bench: git {arguments}: {done.stderr.decode()}")
    return done.stdout.decode().strip()


def _project(place: Path, archives: int) -> Path:
    """A clone whose remote's audit branch holds so many archives."""
    origin, project = place / "origin.git", place / "acme"
    _git("init", "-q", "--bare", "-b", "main", str(origin), cwd=place)
    files = [(f"archives/pr-{n}.md", f"# {n}\n{_BODY}") for n in range(archives)]
    files += [
        (f"releases/{2016 + n % 10}/{1 + n % 12:02d}/acme-{2016 + n % 10}-{1 + n % 12:02d}-01-{n:05d}/outcome.json", f"{n}")
        for n in range(archives // 10)
    ]  # fmt: skip
    stream = _commit(1, "refs/heads/main", "chore: begin", [], _configuration())
    stream += _commit(2, f"refs/heads/{BRANCH}", "archives", [], files)
    _git("fast-import", "--quiet", cwd=origin, stdin=stream)
    _git("clone", "-q", "--no-hardlinks", str(origin), str(project), cwd=place)
    return project


def _configuration() -> list[tuple[str, str]]:
    urls = {"staging": "http://127.0.0.1:9", "production": "http://127.0.0.1:10"}
    return list(Project(urls, 1, scripted_approval=False).files().items())


def _file(chance: random.Random, number: int) -> tuple[str, str]:
    lines = "".join(f"value_{number}_{line} = {chance.randrange(10**6)}\n" for line in range(40))
    return f"src/part{number % 30:02d}/module_{number:04d}.py", lines


def _commit(mark: int, ref: str, message: str, parents: list[int], files: list[tuple[str, str]]) -> bytes:
    said = message.encode()
    person = f"Ada <ada@acme.test> {1_700_000_000 + mark * 60} +0000"
    head = f"commit {ref}\nmark :{mark}\nauthor {person}\ncommitter {person}\ndata {len(said)}\n"
    parts = [head.encode(), said, b"\n", *(f"from :{parent}\n".encode() for parent in parents)]
    for path, text in files:
        data = text.encode()
        parts += [f"M 100644 inline {path}\ndata {len(data)}\n".encode(), data, b"\n"]
    return b"".join((*parts, b"\n"))


def _context(project: Path, scratch: Path) -> Context:
    scratch.mkdir(exist_ok=True)
    product = replace(config.load(project / "pilothouse.yml").products["acme"], audit=Audit())
    now = datetime.now(UTC).isoformat()
    return Context(product, project, os.environ, SystemClock(), {}, scratch, "", now)


def _act(context: Context, tool: str, arguments: dict[str, object]) -> None:
    """Probe, apply, read back: an act as the engine does it."""
    box = Toolbox(context)
    if box.probe(tool, arguments, "k").presence is not Presence.ABSENT:
        raise SystemExit(f"bench: {tool} was there already")
    box.apply(tool, arguments, Permit("r", "s", tool, digest(arguments), "p" * 64, None, "main", "k"))
    if box.verify(tool, arguments, "k").presence is not Presence.APPLIED:
        raise SystemExit(f"bench: {tool} had no effect")


# -- records ----------------------------------------------------------------------------------------------------------


def _archives(project: Path, place: Path, number: int) -> tuple[float, float, float]:
    """CPU seconds of one record: right after somebody else's commit, after one's own, and of the recipe."""
    context, other = _context(project, place / "scratch"), place / "theirs"
    _git("clone", "-q", "--no-hardlinks", str(place / "origin.git"), str(other), cwd=place)
    runs = itertools.count()

    def write() -> float:
        given: dict[str, object] = {"kind": "intent", "record": _record(context, next(runs))}
        return _spent(lambda: _act(context, "record.write", given))

    write()  # makes the scratch repository
    after, alone, theirs = [], [], []
    for n in range(ROUNDS):
        alone.append(write())
        if number == FEW or n < 2:  # with many files a recipe takes half a minute
            theirs.append(_spent(lambda given=n: _recipe(other, place, given)))
            after.append(write())
    return statistics.median(after), statistics.median(alone), statistics.median(theirs)


def _recipe(clone: Path, place: Path, number: int) -> None:
    tree = place / "worktree"
    _git("fetch", "-q", "origin", BRANCH, cwd=clone)
    _git("worktree", "add", "-q", "-B", "archiving", str(tree), "FETCH_HEAD", cwd=clone)
    folder = tree / "releases" / "2027" / "01" / f"acme-2027-01-01-{number:02d}"
    folder.mkdir(parents=True)
    for name in ("intent.json", "intent.md"):
        (folder / name).write_text(_BODY)
    _git("add", "releases", cwd=tree)
    _git("commit", "-q", "-m", "record", cwd=tree)
    _git("push", "-q", "origin", f"archiving:{BRANCH}", cwd=tree)
    _git("worktree", "remove", "--force", str(tree), cwd=clone)


def _record(context: Context, number: int) -> dict[str, object]:
    end = {"ref": "main", "sha": SHA, "version": ""}
    empty = ("pulls", "tickets", "unlinked", "areas", "checks", "evidence", "gates", "verdicts", "artefacts",
             "migrations", "backups", "approvals", "acts", "own_commits", "exceptions")  # fmt: skip
    known = {
        **{name: [] for name in empty},
        "run": f"r-2026-11-21-{number:02d}", "product": "acme", "title": "Acme", "tool_version": "1",
        "workflow": {"name": "w", "title": "W", "digest": "b" * 64}, "composed_at": "", "version": "",
        "started": {"by": "a", "name": "", "email": "", "channel": "", "at": ""}, "from": end, "to": end,
        "counts": dict.fromkeys(("commits", "pulls", "tickets", "files", "insertions", "deletions"), 0),
        "plan": None, "outcome": None, "ledger": {"chain": "acme", "seq": 1, "head": "d" * 64},
    }  # fmt: skip
    box = Toolbox(context)
    return box.observe("record.compose", {"kind": "intent", "record": known}).facts["record"]


# -- promotions -------------------------------------------------------------------------------------------------------


def _promotions(place: Path) -> tuple[float, float, int]:
    """The act alone and the act with its probe and read-back, against the recipe; clones that changed."""
    place.mkdir()
    origin, project, other = place / "origin.git", place / "acme", place / "theirs"
    _git("init", "-q", "--bare", "-b", "main", str(origin), cwd=place)
    chance = random.Random(7)
    files = [*(_file(chance, number) for number in range(FILES)), *_configuration()]
    stream = _commit(1, "refs/heads/main", "chore: begin", [], files)
    for mark in range(2, 2 + 20 * 2 * ROUNDS):
        changed = [_file(chance, chance.randrange(FILES)) for _ in range(4)]
        stream += _commit(mark, "refs/heads/staging", f"feat: {mark}", [mark - 1], changed)
    _git("fast-import", "--quiet", cwd=origin, stdin=stream)
    for clone in (project, other):
        _git("clone", "-q", "--no-hardlinks", str(origin), str(clone), cwd=place)
        _git("checkout", "-q", "-b", "work", "origin/main", cwd=clone)
    line = _git("rev-list", "--reverse", "main..staging", cwd=origin).split()
    stops = itertools.pairwise([_git("rev-parse", "main", cwd=origin), *line[19::20]])
    before, context = _bytes(project), _context(project, place / "scratch")
    alone, whole, theirs = [], [], []
    for _ in range(ROUNDS):
        one, two = next(stops)
        arguments: dict[str, object] = {"into": "main", "commit": two, "from": one}
        box, permit = Toolbox(context), Permit("r", "s", "git.promote", digest(arguments), "p" * 64, None, "main", "k")
        began = _cpu()
        box.probe("git.promote", arguments, "k")
        probed = _cpu()
        box.apply("git.promote", arguments, permit)
        alone.append(_cpu() - probed)
        box.verify("git.promote", arguments, "k")
        whole.append(_cpu() - began)
        target = next(stops)[1]
        theirs.append(_spent(lambda target=target: _merge(other, target)))
    recipe = statistics.median(theirs)
    return statistics.median(alone) / recipe, statistics.median(whole) / recipe, int(_bytes(project) != before)


def _merge(clone: Path, commit: str) -> None:
    _git("fetch", "-q", "origin", cwd=clone)
    _git("checkout", "-q", "main", cwd=clone)
    _git("merge", "-q", "--ff-only", "origin/main", cwd=clone)
    _git("merge", "-q", "--ff-only", commit, cwd=clone)
    _git("push", "-q", "origin", "main", cwd=clone)
    _git("checkout", "-q", "work", cwd=clone)
