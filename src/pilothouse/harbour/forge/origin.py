"""The bare remote as the forge sees it: commits, refs, differences, merges."""

from __future__ import annotations

import re
import subprocess
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from pilothouse.harbour.forge.store import stamp
from pilothouse.harbour.history import ENVIRONMENT, MERGED_BY, git

if TYPE_CHECKING:
    from pathlib import Path

PERSON = re.compile(r"^(?P<name>.*) <(?P<email>[^>]*)> (?P<time>\d+) [+-]\d{4}$")
SHA = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class Person:
    """An author or a committer, and when."""

    name: str
    email: str
    date: str


@dataclass(frozen=True, slots=True)
class GitObject:
    """An object of the repository; the parts of a commit are empty in the other kinds."""

    oid: str
    kind: str
    raw: bytes
    tree: str = ""
    parents: tuple[str, ...] = ()
    author: Person | None = None
    committer: Person | None = None
    message: str = ""

    @property
    def headline(self) -> str:
        """The first line of the message."""
        return self.message.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class FileChange:
    """How one file differs."""

    path: str
    added: int
    deleted: int
    kind: str


class NotMergeable(Exception):
    """The two sides do not go together."""


class Origin:
    """Reads objects through one `git cat-file --batch`, which sees new objects as they come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        # Names of objects are names of contents: what was read once holds for ever.
        self._seen: dict[str, GitObject] = {}
        self._spans: dict[tuple[str, str], list[str]] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]]:
        if self._process is None:
            argv = ["git", "cat-file", "--batch"]
            self._process = subprocess.Popen(
                argv, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT
            )
        process = self._process
        assert process.stdin and process.stdout, "both pipes are opened above"
        return process.stdin, process.stdout

    def close(self) -> None:
        """Ends the process behind it; the next question starts another."""
        with self._lock:
            if self._process is not None:
                self._process.communicate()
                self._process = None

    def object(self, oid: str) -> GitObject | None:
        """An object by its full name."""
        if not SHA.fullmatch(oid):
            return None
        with self._lock:
            if oid in self._seen:
                return self._seen[oid]
            questions, answers = self._pipes()
            questions.write(f"{oid}\n".encode())
            questions.flush()
            head = answers.readline().decode().split()
            if head[1] == "missing":
                return None
            raw = answers.read(int(head[2]))
            answers.read(1)
            found = self._seen[oid] = _parsed(oid, head[1], raw)
            return found

    def commit(self, oid: str) -> GitObject:
        """A commit that is known to be there."""
        found = self.object(oid)
        if found is None or found.kind != "commit":
            raise LookupError(f"no commit {oid}")
        return found

    def refs(self, *prefixes: str) -> dict[str, str]:
        """Refs and the objects that they name (an annotated tag's own object)."""
        text = git("for-each-ref", "--format=%(refname) %(objectname)", *prefixes, cwd=self.folder)
        return dict(line.split() for line in text.splitlines())

    def ref(self, name: str) -> str:
        """The object that a full ref name names; empty where there is none."""
        return self.refs(name).get(name, "")

    def resolve(self, text: str) -> str:
        """A branch, a tag or a sha as a commit's sha; empty where there is none."""
        for name in (f"refs/heads/{text}", f"refs/tags/{text}"):
            if found := self.ref(name):
                return self.peeled(found)
        found_object = self.object(text)
        return text if found_object and found_object.kind == "commit" else ""

    def peeled(self, oid: str) -> str:
        """The commit behind an annotated tag."""
        found = self.object(oid)
        if found and found.kind == "tag":
            return self.peeled(found.raw.decode().split("\n", 1)[0].removeprefix("object "))
        return oid

    def between(self, base: str, head: str) -> list[str]:
        """The commits of head that base lacks, oldest first."""
        if (base, head) not in self._spans:
            self._spans[base, head] = git("rev-list", "--reverse", f"{base}..{head}", cwd=self.folder).split()
        return self._spans[base, head]

    def base(self, one: str, other: str) -> str:
        """The best common ancestor."""
        return git("merge-base", one, other, cwd=self.folder)

    def contains(self, branch: str, oid: str) -> bool:
        """Whether a commit is an ancestor of another, or the same."""
        try:
            git("merge-base", "--is-ancestor", oid, branch, cwd=self.folder)
        except subprocess.CalledProcessError:
            return False
        return True

    def changes(self, base: str, head: str) -> list[FileChange]:
        """What head did since it left base."""
        span = f"{base}...{head}"
        kinds = {"A": "ADDED", "D": "DELETED", "M": "MODIFIED", "T": "CHANGED"}
        names = git("diff", "--no-renames", "--name-status", span, cwd=self.folder).splitlines()
        numbers = git("diff", "--no-renames", "--numstat", span, cwd=self.folder).splitlines()
        found = []
        for name, number in zip(names, numbers, strict=True):
            letter, path = name.split("\t")
            added, deleted, _ = number.split("\t")
            found.append(FileChange(path, int(added.strip("-") or 0), int(deleted.strip("-") or 0), kinds[letter]))
        return found

    def merged_tree(self, base: str, head: str) -> str:
        """The tree of both sides together.

        Raises:
            NotMergeable: they conflict.
        """
        try:
            return git("merge-tree", "--write-tree", base, head, cwd=self.folder).split()[0]
        except subprocess.CalledProcessError as error:
            raise NotMergeable("Pull Request is not mergeable") from error

    def merge(self, branch: str, head: str, message: str, author: str, *, squash: bool) -> tuple[str, str]:
        """Merges a commit into a branch, and returns the branch's old and new sha.

        Raises:
            NotMergeable: they conflict, or the branch moved meanwhile.
        """
        old = self.ref(f"refs/heads/{branch}")
        tree = self.merged_tree(old, head)
        parents = ["-p", old] if squash else ["-p", old, "-p", head]
        name, _, email = author.partition(" <")
        committer, _, mail = MERGED_BY.partition(" <")
        new = git(
            *("commit-tree", tree, *parents, "-m", message),
            cwd=self.folder,
            GIT_AUTHOR_NAME=name,
            GIT_AUTHOR_EMAIL=email.rstrip(">"),
            GIT_COMMITTER_NAME=committer,
            GIT_COMMITTER_EMAIL=mail.rstrip(">"),
        )
        try:
            git("update-ref", f"refs/heads/{branch}", new, old, cwd=self.folder)
        except subprocess.CalledProcessError as error:
            raise NotMergeable("Base branch was modified. Review and try the merge again.") from error
        return old, new


def _parsed(oid: str, kind: str, raw: bytes) -> GitObject:
    if kind != "commit":
        return GitObject(oid, kind, raw)
    head, _, message = raw.decode(errors="replace").partition("\n\n")
    lines = [line.partition(" ") for line in head.splitlines()]
    fields = {name: value for name, _, value in lines if name != "parent"}
    return GitObject(
        oid,
        kind,
        raw,
        tree=fields["tree"],
        parents=tuple(value for name, _, value in lines if name == "parent"),
        author=_person(fields["author"]),
        committer=_person(fields["committer"]),
        message=message.rstrip("\n"),
    )


def _person(text: str) -> Person:
    match = PERSON.match(text)
    if not match:
        return Person(text, "", stamp(0))
    return Person(match["name"], match["email"], stamp(int(match["time"])))
