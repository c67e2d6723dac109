"""The branch of records and archives on the remote: files are added to it by plumbing, and nothing there is rewritten.

It may hold tens of thousands of files, so nothing here ever reads it whole. Its tip is fetched without history, and
where the remote can filter, without anything but the folders on the way to one record. That makes a repository which
lacks most objects, so it is one of its own beside the scratch repository, in which everything is there.
"""

from __future__ import annotations

from hashlib import sha1
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import grammar
from pilothouse_tools.clone import alternates
from pilothouse_tools.repository import Repository
from pilothouse_tools.scratch import UPSTREAM, complaint, exchange

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from pilothouse_tools import child
    from pilothouse_tools.context import Context

_TRIES = 6  # how often a commit is made anew because somebody else's came first
_NETWORK = 120.0
_FETCH = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance",
          "--filter=tree:1")  # fmt: skip
# What the remote left out when it filtered is not missing: git must not call the repository broken for it.
_CONFIG = (
    "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n"
    f'[extensions]\n\tpartialClone = {UPSTREAM}\n[remote "{UPSTREAM}"]\n\tpromisor = true\n'
)

Entry = tuple[str, str, str]  # mode, kind, sha


def blob_name(content: bytes) -> str:
    """What git calls these bytes."""
    return sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _parsed(listing: bytes) -> dict[str, Entry]:
    found = {}
    for line in listing.split(b"\0")[:-1]:
        head, _, name = line.decode("utf-8", "surrogateescape").partition("\t")
        mode, kind, sha = head.split(" ")
        found[name] = (mode, kind, sha)
    return found


class Shelf(Repository):
    """A repository that knows the tip of one branch of the remote, and of it the folders that were asked for."""

    @classmethod
    def of(cls, context: Context) -> Self:
        """The shelf of a product: beside its scratch repository, with the same remote and the same signature."""
        remote, token = context.product.remote, context.environ.get(context.product.remote_token, "")
        environ = context.child_environ("SSH_AUTH_SOCK")
        made = cls(context.project, remote, context.scratch, environ, context.repo.signature, token)
        made.folder = context.scratch / "archive.git"
        return made

    def prepare(self) -> None:
        """Make the repository where it is not there yet, as one from which objects may be missing."""
        if self._ready:
            return
        if not (self.folder / "HEAD").exists():
            self._make()
        exchange(self.folder / "config", _CONFIG)
        exchange(self.folder / "objects" / "info" / "alternates", alternates(self._project))
        self._ready = True

    def tip(self, branch: str) -> str:
        """The commit that the branch is at on the remote, here without its history; empty: there is no such branch.

        Raises:
            Unreachable: the remote did not answer.
        """
        head = self.head(branch)
        if head and head not in self._known:
            if not self._there(head):
                done = self._fetched(head)
                if not self._there(head):
                    self._raise_unfetched(head, done)
            self._known.add(head)
        return head

    def _there(self, sha: str) -> bool:
        return self.run("cat-file", "-e", sha).code == 0

    def _fetched(self, commit: str) -> child.Finished:
        # A ref keeps what was fetched in the next negotiation.
        return self.run(
            "fetch", "--depth=1", *_FETCH, "--end-of-options", UPSTREAM, f"+{commit}:refs/fetched/{commit}",
            remote=True, timeout=_NETWORK,
        )  # fmt: skip

    def _fetched_folder(self, tree: str) -> child.Finished:
        # Asked for without saying what is here: who has the commit is taken to have its folders, too.
        return self.run(
            "-c", "fetch.negotiationAlgorithm=noop", "fetch", *_FETCH, "--end-of-options", UPSTREAM, tree,
            remote=True, timeout=_NETWORK,
        )  # fmt: skip

    def folder_at(self, commit: str, folder: str) -> dict[str, Entry]:
        """The entries of one folder at a commit by name; empty where there is no such folder.

        Raises:
            ToolFailed: ``record-path-taken``: a file is where a folder should be.
        """
        done = self.run("ls-tree", "-z", "--end-of-options", commit, "--", f"{folder}/")
        if done.code or done.truncated:  # a folder on the way was never fetched
            return self._levels(commit, folder)[-1]
        return {path.rpartition("/")[2]: entry for path, entry in _parsed(done.stdout).items()}

    def _levels(self, commit: str, folder: str) -> list[dict[str, Entry]]:
        """The entries of the root and of each folder on the way, the wanted one last; empty ones from where none is."""
        levels = [self._entries(commit)]
        parts = folder.split("/")
        for depth, part in enumerate(parts):
            mode, kind, sha = levels[-1].get(part, ("", "", ""))
            if kind not in {"", "tree"}:
                taken = "/".join(parts[: depth + 1])
                raise ToolFailed("record-path-taken", f"{taken} is no folder on the branch (mode {mode})",
                                 "Look at who wrote it; records need that name.")  # fmt: skip
            levels.append(self._entries(sha) if sha else {})
        return levels

    def _entries(self, tree: str) -> dict[str, Entry]:
        done = self.run("ls-tree", "-z", "--end-of-options", tree)
        if done.code:  # the remote left it out
            fetched = self._fetched_folder(tree)
            done = self.run("ls-tree", "-z", "--end-of-options", tree)
            if done.code:
                raise Unreachable(
                    "remote-unreachable", f"a folder could not be fetched: {self.scrub(complaint(fetched))}"
                )
        if done.truncated:
            raise ToolFailed("git-failed", "a folder of the branch is too large to be read")
        return _parsed(done.stdout)

    def add(self, branch: str, folder: str, files: Mapping[str, bytes], message: str) -> str:
        """Add files to a folder of the branch by one commit on its tip; the branch is made where there is none.

        Where somebody else's commit comes first, the files are added to that one's.

        Args:
            branch: of the remote.
            folder: on that branch, made where it is not there.
            files: name to bytes; those that are there with the same bytes stay as they are.
            message: of the commit.

        Returns:
            The commit, read back from the remote: it is, or was a moment ago, the branch's tip.

        Raises:
            ToolFailed: ``record-conflict`` (a file is there with other bytes), ``ref-moved`` (somebody else was first
                each time), ``push-refused``.
            Unreachable: the remote did not answer.
        """
        if not grammar.is_path(folder) or not all(grammar.is_path(name) and "/" not in name for name in files):
            raise ToolFailed("bad-argument", f"{folder[:80]!r} is no folder of records")
        blobs = self._blobs(files)
        for left in reversed(range(_TRIES)):
            tip = self.tip(branch)
            tree = self._tree_with(tip, folder, blobs)
            if tree is None:
                return tip
            made = self.commit(tree, [tip] if tip else [], message)
            try:
                self.push(f"refs/heads/{branch}", made, tip)
            except ToolFailed as error:
                if error.reason_code != "ref-moved" or not left:
                    raise
            else:
                self._known.add(made)
                return made
        raise AssertionError("the last try returns or raises")

    def _blobs(self, files: Mapping[str, bytes]) -> dict[str, str]:
        return {
            name: self.read("hash-object", "-w", "-t", "blob", "--stdin", stdin=content).decode().strip()
            for name, content in files.items()
        }

    def _tree_with(self, tip: str, folder: str, blobs: Mapping[str, str]) -> str | None:
        """The tip's tree with the files in it; None where they are all there already."""
        levels = self._levels(tip, folder) if tip else [{} for _ in range(len(folder.split("/")) + 1)]
        here = levels[-1]
        for name, blob in blobs.items():
            if name in here and here[name][2] != blob:
                raise ToolFailed("record-conflict", f"{folder}/{name} is there with other content; none is rewritten",
                                 "Look at both: somebody else used this release id.")  # fmt: skip
        if all(name in here for name in blobs):
            return None
        tree = self._made({**here, **{name: ("100644", "blob", blob) for name, blob in blobs.items()}})
        for level, name in zip(reversed(levels[:-1]), reversed(folder.split("/")), strict=True):
            tree = self._made({**level, name: ("040000", "tree", tree)})
        return tree

    def _made(self, entries: Mapping[str, Entry]) -> str:
        lines = "".join(f"{mode} {kind} {sha}\t{name}\0" for name, (mode, kind, sha) in entries.items())
        # Most of what a folder names was never fetched, and need not be.
        return self.read("mktree", "-z", "--missing", stdin=lines.encode("utf-8", "surrogateescape")).decode().strip()
