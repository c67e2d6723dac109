"""The contents of a range of 18,000 commits by the tool ``git.contents``, against the ``git log`` that it rests on."""

from __future__ import annotations

import os
import random
import resource
import shlex
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import measure

from pilothouse import config
from pilothouse.app import SystemClock
from pilothouse.harbour.projectfile import Project
from pilothouse_tools.commits import LOG
from pilothouse_tools.context import Context
from pilothouse_tools.toolbox import Toolbox

COMMITS = 18_000
ROUNDS = 5
FILES = 1_500
_KINDS = ("feat", "fix", "fix", "perf", "chore", "docs", "refactor", "test", "build(deps)")
_BODY = (
    "The old way asked the database once an item, the new one asks once a page.\n\n"
    "Measured on the staging copy: see ACME-{n}.\n\nCo-authored-by: Kofi Mensah <kofi@acme.test>\nRefs: ACME-{n}\n"
)


def rows(folder: Path) -> list[measure.Row]:
    """The row for a large range, and that exactly one log process ran."""
    project, older, newer = _clone(folder)
    arguments = {"from": older, "to": newer}
    _toolbox(project, folder / "warm", os.environ["PATH"]).observe("git.contents", arguments)
    ratios = []
    for number in range(ROUNDS):
        raw = measure.run(["git", *LOG, f"{older}..{newer}"], cwd=project).cpu
        tools = _toolbox(project, folder / f"scratch{number}", os.environ["PATH"])
        began = _cpu()
        seen = tools.observe("git.contents", arguments)
        ratios.append((_cpu() - began) / raw)
        if seen.facts["commits"] != COMMITS:
            raise SystemExit(f"bench: {seen.facts['commits']} commits were seen, not {COMMITS}")
    logs = _log_processes(project, folder, arguments)
    note = f"{COMMITS} commits; {logs} log process{'' if logs == 1 else 'es'}"
    return [
        measure.Row("git.contents / raw git log (CPU)", statistics.median(ratios), 2.5, note=note),
        measure.Row(
            "git log processes of git.contents", logs, 1, unit="", note="counted by a git on the PATH that writes"
        ),
    ]


def _cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _toolbox(project: Path, scratch: Path, path: str) -> Toolbox:
    scratch.mkdir()
    product = config.load(project / "pilothouse.yml").products["acme"]
    now = datetime.now(UTC).isoformat()
    return Toolbox(Context(product, project, {**os.environ, "PATH": path}, SystemClock(), {}, scratch, "", now))


def _log_processes(project: Path, folder: Path, arguments: dict[str, str]) -> int:
    wrapper, log = folder / "bin" / "git", folder / "git.log"
    wrapper.parent.mkdir()
    real = shlex.quote(str(shutil.which("git")))
    wrapper.write_text(f'#!/bin/sh\necho " $* " >> {shlex.quote(str(log))}\nexec {real} "$@"\n')
    wrapper.chmod(0o755)
    path = f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"
    _toolbox(project, folder / "counted", path).observe("git.contents", dict(arguments))
    words = [line.split() for line in log.read_text().splitlines()]
    return sum(any(word in {"log", "rev-list", "whatchanged", "shortlog"} for word in line) for line in words)


# -- the history ------------------------------------------------------------------------------------------------------


def _clone(folder: Path) -> tuple[Path, str, str]:
    """A clone whose remote has the history; the shas of its first and its last commit."""
    origin, project = folder / "origin.git", folder / "acme"
    git = ["git", "-c", "gc.auto=0", "-c", "init.defaultBranch=main"]
    subprocess.run([*git, "init", "--quiet", "--bare", str(origin)], check=True)
    stream = b"".join(_stream())
    subprocess.run([*git, "-C", str(origin), "fast-import", "--quiet"], input=stream, check=True)
    subprocess.run([*git, "-C", str(origin), "symbolic-ref", "HEAD", "refs/heads/main"], check=True)
    subprocess.run([*git, "clone", "--quiet", "--no-hardlinks", str(origin), str(project)], check=True)
    line = subprocess.run([*git, "-C", str(origin), "rev-list", "main"], check=True, capture_output=True, text=True)
    shas = line.stdout.split()
    return project, shas[-1], shas[0]


def _stream() -> Iterator[bytes]:
    chance = random.Random(18_000)
    yield _commit(1, "refs/heads/main", "chore: begin", [], [*_files(chance), *_project()])
    mark, tip = 1, 1
    while mark - 1 < COMMITS:
        if mark % 6 == 0 and mark - 1 + 3 <= COMMITS:  # a branch of two commits and its merge
            for above, parent in ((mark + 1, tip), (mark + 2, mark + 1)):
                yield _commit(above, "refs/heads/work", _message(chance, above), [parent], [_file(chance)])
            title = f"Merge pull request #{mark} from acme/work-{mark}\n\n{_message(chance, mark)}"
            yield _commit(mark + 3, "refs/heads/main", title, [tip, mark + 2], [])
            mark, tip = mark + 3, mark + 3
        else:
            changed = [_file(chance) for _ in range(chance.randint(1, 4))]
            yield _commit(mark + 1, "refs/heads/main", _message(chance, mark + 1), [tip], changed)
            mark, tip = mark + 1, mark + 1


def _message(chance: random.Random, number: int) -> str:
    kind = chance.choice(_KINDS)
    mark = "!" if number % 900 == 0 else ""
    subject = f"{kind}{mark}: make part {number} of the shop faster for those who look at it (#{number})"
    return f"{subject}\n\n{_BODY.format(n=number)}" if number % 2 else subject


def _files(chance: random.Random) -> list[tuple[str, str]]:
    return [(_path(number), _text(chance, number)) for number in range(FILES)]


def _project() -> list[tuple[str, str]]:
    urls = {"staging": "http://127.0.0.1:9", "production": "http://127.0.0.1:10"}
    return list(Project(urls, 1, scripted_approval=False).files().items())


def _path(number: int) -> str:
    return f"src/part{number % 30:02d}/module_{number:04d}.py"


def _text(chance: random.Random, number: int) -> str:
    return "".join(f"value_{number}_{line} = {chance.randrange(10**6)}\n" for line in range(40))


def _file(chance: random.Random) -> tuple[str, str]:
    number = chance.randrange(FILES)
    return _path(number), _text(chance, number)


def _commit(mark: int, ref: str, message: str, parents: list[int], files: list[tuple[str, str]]) -> bytes:
    said = message.encode()
    person = f"Person {mark % 40} <person{mark % 40}@acme.test> {1_700_000_000 + mark * 60} +0000"
    lines = [f"commit {ref}", f"mark :{mark}", f"author {person}", f"committer {person}", f"data {len(said)}"]
    out = "\n".join(lines).encode() + b"\n" + said + b"\n"
    for position, parent in enumerate(parents):
        out += f"{'merge' if position else 'from'} :{parent}\n".encode()
    for path, text in files:
        data = text.encode()
        out += f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n"
    return out + b"\n"
