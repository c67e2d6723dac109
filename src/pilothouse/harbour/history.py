"""Builds the bare remote and its history with one `git fast-import`."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from pilothouse.harbour import promotion, story
from pilothouse.harbour.changes import PEOPLE, Change, Commit, Tree, write

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

BEGAN = 1_782_900_000  # 2026-07-01, and every commit a few hours later: dates are part of the shas
PACE = 6 * 3600 + 420
CEO = "Ceo <ceo@acme.test>"
MERGED_BY = "GitHub <noreply@github.com>"

# A person's git configuration (signing, hooks, templates) must not reach the world.
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
}


def git(*arguments: str | Path, cwd: Path, stdin: bytes | None = None, **environment: str) -> str:
    """Runs git and returns what it printed.

    Raises:
        subprocess.CalledProcessError: git failed; its words are in `stderr`.
    """
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, input=stdin, check=True, capture_output=True, env=ENVIRONMENT | environment
    )
    return done.stdout.decode().strip()


@dataclass(frozen=True, slots=True)
class Landed:
    """Where a change is in the repository.

    Args:
        base: the commit of main (or staging, where that is promoted) that its branch began at.
        commits: the branch's commits, oldest first; the last is the head.
        merged: its commit there, empty where it is not merged.
        at: when it was merged (or its last commit made), in seconds since 1970.
    """

    change: Change
    base: str
    commits: tuple[str, ...]
    merged: str
    at: int


@dataclass(slots=True)
class _Stream:
    """Writes the import stream; marks stand for shas until git has told them."""

    out: list[bytes] = field(default_factory=list)
    marks: int = 0
    clock: int = BEGAN
    onto: str = "refs/heads/main"
    main: int = 0
    trees: dict[int, Tree] = field(default_factory=dict)
    line: list[int] = field(default_factory=list)
    landed: list[tuple[Change, int, tuple[int, ...], int, int]] = field(default_factory=list)

    def commit(self, ref: str, commit: Commit, parent: int, *, merge: int = 0, committer: str = "") -> int:
        """One commit on a ref; returns its mark."""
        before = self.trees.get(parent, {})
        tree = dict(before)
        for edit in commit.edits:
            edit(tree)
        self.marks += 1
        mark, author = self.marks, PEOPLE[commit.author]
        self.clock += PACE
        lines = [f"commit {ref}", f"mark :{mark}", f"author {author} {self.clock} +0000"]
        lines += [f"committer {committer or author} {self.clock} +0000", _data(commit.message + "\n")]
        lines += [f"from :{parent}"] if parent else []
        lines += [f"merge :{merge}"] if merge else []
        lines += [f"M 100644 inline {path}\n{_data(text)}" for path, text in tree.items() if before.get(path) != text]
        self.out.append("\n".join(lines).encode() + b"\n\n")
        self.trees[mark] = tree
        return mark

    def land(self, change: Change) -> None:
        """A change with its branch, its pull request's head and its commit on main."""
        base = self.line[-1 - change.since] if self.line else 0
        if change.number or change.how == "branch":
            ref = f"refs/pull/{change.number}/head" if change.number else f"refs/heads/{change.head}"
            marks = self._branch(ref, change, base)
            if change.how == "open":
                self.out.append(f"reset refs/heads/{change.head}\nfrom :{marks[-1]}\n\n".encode())
        else:
            marks = (0,)
        self._merge(change, base, marks)

    def _branch(self, ref: str, change: Change, base: int) -> tuple[int, ...]:
        marks: list[int] = []
        for commit in change.commits:
            # A squash writes the number into main's message only; the branch's own commit does not know it.
            message = commit.message.replace(f" (#{change.number})", "")
            marks.append(self.commit(ref, Commit(message, commit.edits, commit.author), marks[-1] if marks else base))
        return tuple(marks)

    def _merge(self, change: Change, base: int, marks: tuple[int, ...]) -> None:
        merged = 0
        if change.how in {"squash", "merge"}:
            commit = change.commits[0]
            merge = 0
            if change.how == "merge":
                edits = tuple(edit for part in change.commits for edit in part.edits)
                title = f"Merge pull request #{change.number} from harbour/{change.head}\n\n{change.title}"
                commit, merge = Commit(title, edits, "ada"), marks[-1]
            committer = MERGED_BY if change.number else ""
            merged = self.main = self.commit(self.onto, commit, self.main, merge=merge, committer=committer)
            self.line.append(merged)
        if change.tag:
            tagger = f"tagger {PEOPLE['ada']} {self.clock + 60} +0000"
            self.out.append(
                f"tag {change.tag}\nfrom :{merged}\n{tagger}\n{_data(f'Acme {change.tag[1:]}' + chr(10))}\n".encode()
            )
        self.landed.append((change, base, marks, merged, self.clock))

    def archive(self, without: Collection[int]) -> None:
        """The branch on which each merged pull request has its archive, with a beginning of its own."""
        last = 0
        for change, _, _, merged, _ in self.landed:
            if change.number and merged and change.number not in without:
                path, text = promotion.archive(change)
                message = f"docs(archive): pull request #{change.number}"
                last = self.commit(promotion.ARCHIVES, Commit(message, (write(path, text),), "ada"), last)


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def since(changes: tuple[Change, ...], *, instead: bool, red: bool, contracting: bool) -> list[Change]:
    """What main gains after the last release.

    Args:
        changes: what is wanted besides.
        instead: whether that is all.
        red: whether there is a commit whose end-to-end tests fail.
        contracting: whether there is a migration that must wait for the code.
    """
    usual = [] if instead else story.since()
    return [*usual, *([story.contracting()] if contracting else []), *changes, *([story.red()] if red else [])]


def build(
    origin: Path,
    project: dict[str, str],
    gained: list[Change] | None = None,
    *,
    layout: Literal["release", "promotion"] = "release",
    without: Collection[int] = (),
) -> list[Landed]:
    """Makes the bare remote at `origin` and returns where every change is.

    Args:
        origin: a folder that does not exist yet.
        project: pilothouse.yml and what else the project is released with, by path.
        gained: what main has gained since the last release; None: the usual.
        layout: whether main gained it, or staging, which is promoted to main.
        without: the pull requests that have no archive (promotion only).
    """
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info", "hooks"):
        (origin / folder).mkdir(parents=True)
    (origin / "HEAD").write_text("ref: refs/heads/main\n")
    # Hidden refs would be fetched by nobody anyway; gc must not run in the background of a test.
    (origin / "config").write_text(
        "[core]\n\trepositoryformatversion = 0\n\tbare = true\n[gc]\n\tauto = 0\n[receive]\n\tautogc = false\n"
    )
    stream = _Stream()
    for change in story.past(project):
        stream.land(change)
    branches = ("deploy/staging", "deploy/production") if layout == "release" else ("staging",)
    for name in branches:
        stream.out.append(f"reset refs/heads/{name}\nfrom :{stream.main}\n\n".encode())
    if layout == "promotion":
        stream.onto = promotion.STAGING
    for change in [*(story.since() if gained is None else gained), *story.beside()]:
        stream.land(change)
    if layout == "promotion":
        stream.archive(without)
    git("fast-import", "--quiet", "--export-marks=marks", cwd=origin, stdin=b"".join(stream.out))
    shas = dict(line.split() for line in (origin / "marks").read_text().splitlines())
    (origin / "marks").unlink()

    def sha(mark: int) -> str:
        return shas.get(f":{mark}", "")

    return [
        Landed(change, sha(base), tuple(sha(mark) for mark in marks if mark), sha(merged), at)
        for change, base, marks, merged, at in stream.landed
    ]


def checkout(origin: Path, sha: str, folder: Path) -> None:
    """Lays the files of a commit into a folder of its own; one that is already there is left alone."""
    if folder.exists():
        return
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    fresh.mkdir(parents=True)
    index = fresh.with_suffix(".index")
    where = ("--git-dir", str(origin), "--work-tree", str(fresh))
    git(*where, "read-tree", "-u", "--reset", sha, cwd=fresh, GIT_INDEX_FILE=str(index))
    index.unlink()
    fresh.replace(folder)


def push(origin: Path, ref: str, path: str, text: str | None, message: str, author: str) -> tuple[str, str]:
    """Adds a commit that changes one file (None: removes it) to a branch, as somebody's push would.

    Returns:
        The branch's old and new sha.
    """
    old = git("rev-parse", ref, cwd=origin)
    who = PEOPLE[author]
    # Not the time of day: worlds in which the same happened have the same shas.
    now = int(git("log", "-1", "--format=%ct", old, cwd=origin)) + PACE
    lines = [f"commit {ref}", f"author {who} {now} +0000", f"committer {who} {now} +0000", _data(message + "\n")]
    edit = [f"D {path}"] if text is None else [f"M 100644 inline {path}", _data(text)]
    lines += [f"from {old}", *edit, ""]
    git("fast-import", "--quiet", cwd=origin, stdin="\n".join(lines).encode())
    return old, git("rev-parse", ref, cwd=origin)
