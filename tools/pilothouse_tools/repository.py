"""One product's repository, looked at and written to without touching the user's clone.

All git work happens in a scratch repository of our own: bare, with our configuration only, and the clone's object store
as its alternate. So the clone's working tree, index, HEAD, refs and object store stay byte for byte as they are, and
nothing that its configuration names (hooks, filters, fsmonitor, ssh commands, aliases, credential helpers) ever runs.
Of the clone's configuration one value is read: the URL of the remote.
"""

from __future__ import annotations

import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import child, grammar
from pilothouse_tools.scratch import UPSTREAM, Scratch, complaint
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MOVED = re.compile(r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref|reference already exists")
_REFUSED = re.compile(r"\[(?:remote )?rejected\]")
_SETTLING = 5.0  # seconds in which a push whose connection died may still land
_NETWORK = 120.0


class Repository(Scratch):
    """The clone's objects and the remote's refs, through the scratch repository."""

    # -- the remote ---------------------------------------------------------------------------------------------------

    def heads(self, *refs: str) -> dict[str, str]:
        """What the remote's refs point at, asked now; refs that do not exist are left out.

        Args:
            refs: whole names, such as ``refs/heads/main`` or the peeled ``refs/tags/v1.0.0^{}``.

        Raises:
            Unreachable: the remote did not answer.
        """
        done = self.run("ls-remote", "--end-of-options", UPSTREAM, *refs, remote=True, timeout=_NETWORK)
        if done.code or done.truncated:
            raise Unreachable(
                "remote-unreachable",
                f"the remote {self.remote} does not answer: {self.scrub(complaint(done))}",
                "Check the network and your access, then: pilothouse resume",
            )
        found: dict[str, str] = {}
        for line in done.stdout.decode("utf-8", "replace").splitlines():
            sha, _, name = line.partition("\t")
            # ls-remote matches the end of names; only the exact ones are meant.
            if name in refs and grammar.is_sha(sha):
                found[name] = sha
        return found

    def head(self, branch: str) -> str:
        """The commit that a branch of the remote points at, or an empty text."""
        ref = f"refs/heads/{branch}"
        return self.heads(ref).get(ref, "")

    def require(self, sha: str) -> None:
        """Make sure that a commit and its history are here, fetched where they are not; no ref of the clone moves.

        Raises:
            ToolFailed: ``commit-unknown``.
            Unreachable: the remote did not answer.
        """
        if not grammar.is_sha(sha):
            raise ToolFailed("bad-argument", f"{sha[:80]!r} is no full commit sha")
        if sha in self._known:
            return
        if not self._has(sha):
            done = self._fetch(sha)
            if not self._has(sha) and b"cannot lock ref" in done.stderr:  # another conductor fetches it just now
                done = self._fetch(sha)
            if not self._has(sha):
                self._raise_unfetched(sha, done)
        self._known.add(sha)

    def _fetch(self, sha: str) -> child.Finished:
        # A ref of the scratch repository keeps what was fetched in the next negotiation.
        return self.run(
            "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
            "--no-auto-maintenance", "--end-of-options", UPSTREAM, f"+{sha}:refs/fetched/{sha}",
            remote=True, timeout=_NETWORK,
        )  # fmt: skip

    def _has(self, sha: str) -> bool:
        return self.run("cat-file", "-e", f"{sha}^{{commit}}").code == 0

    def _raise_unfetched(self, sha: str, done: child.Finished) -> None:
        message = self.scrub(complaint(done))
        if re.search(r"not our ref|unadvertised object|bad object|no such ref|couldn't find remote ref", message):
            raise ToolFailed(
                "commit-unknown", f"commit {sha[:12]} is neither here nor on {self.remote}", "Push it first."
            )
        raise Unreachable("remote-unreachable", f"commit {sha[:12]} could not be fetched: {message}")

    def push(self, ref: str, new: str, expected: str, timeout: float = _NETWORK) -> None:
        """Move one remote ref by compare-and-swap, forward only.

        A push whose answer was lost is judged by reading the ref back. An empty ``new`` deletes, an empty ``expected``
        demands that the ref does not exist yet.

        Raises:
            ToolFailed: ``ref-moved`` (somebody was first), ``not-fast-forward``, ``push-refused``.
            Unreachable: the remote did not answer and the ref is not where it should be.
        """
        name = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        if name == ref or not grammar.is_ref(name):
            raise ToolFailed("bad-argument", f"{ref[:80]!r} is no branch or tag")
        if new and expected:
            self.require(expected)
            if not self.is_ancestor(expected, new):
                raise ToolFailed(
                    "not-fast-forward", f"{new[:12]} does not descend from {expected[:12]}, where {ref} is"
                )
        try:
            done = self.run(
                "push",
                "--porcelain",
                "--no-verify",
                "--no-follow-tags",
                "--recurse-submodules=no",
                "--no-signed",
                f"--force-with-lease={ref}:{expected}",
                "--end-of-options",
                UPSTREAM,
                f"{new}:{ref}",
                remote=True,
                timeout=timeout,
            )
        except Unreachable:
            if self._settled(ref, new, unclear=True):
                return
            raise
        # The exit code proves nothing, either way.
        if not self._settled(ref, new, unclear=bool(done.code) and not _REFUSED.search(_said(done))):
            self._raise_unpushed(ref, expected, done)

    def _settled(self, ref: str, new: str, *, unclear: bool) -> bool:
        """Whether a ref is where it should be; after a connection that died the other side may still be at it."""
        until = time.monotonic() + (_SETTLING if unclear else 0)
        while self.heads(ref).get(ref, "") != new:
            if time.monotonic() >= until:
                return False
            time.sleep(0.2)
        return True

    def _raise_unpushed(self, ref: str, expected: str, done: child.Finished) -> None:
        said = self.scrub(_said(done), 10_000)
        if _MOVED.search(said) or self.heads(ref).get(ref, "") != expected:
            raise ToolFailed(
                "ref-moved",
                f"{ref} is not at {expected[:12] or 'its absence'} any more: somebody else moved it",
                "Look at who pushed; then: pilothouse resume",
                detail=one_line(said, 1000),
            )
        if _REFUSED.search(said) or not done.code:
            raise ToolFailed(
                "push-refused",
                f"the remote refused to move {ref}: {one_line(said, 300)}",
                "Check the branch's protection rules and your access.",
                detail=one_line(said, 1000),
            )
        raise Unreachable("remote-unreachable", f"{ref} could not be pushed: {one_line(said, 300)}",
                          "Check the network and your access, then: pilothouse resume")  # fmt: skip

    # -- objects ------------------------------------------------------------------------------------------------------

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether ``newer`` contains ``older``; both must be here."""
        done = self.run("merge-base", "--is-ancestor", older, newer)
        if done.code not in {0, 1}:
            raise ToolFailed("git-failed", f"git merge-base failed: {self.scrub(complaint(done))}")
        return done.code == 0

    def merge_base(self, one: str, other: str) -> str:
        """The newest commit that both contain; both must be here.

        Raises:
            ToolFailed: they have nothing in common.
        """
        return self.read("merge-base", "--end-of-options", one, other).decode().split()[0]

    def tree(self, commit: str) -> str:
        """The tree of a commit that is here."""
        return self.read("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").decode().strip()

    def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit that is here, the first one first."""
        return tuple(
            self.read("rev-list", "--parents", "--max-count=1", "--end-of-options", commit).decode().split()[1:]
        )

    def message(self, commit: str) -> str:
        """The whole message of a commit that is here."""
        raw = self.read("cat-file", "commit", commit)
        return raw.partition(b"\n\n")[2].decode("utf-8", "replace")

    def file(self, commit: str, path: str) -> bytes | None:
        """A file's bytes at a commit, or None where there is no such regular file."""
        found = self.entries(commit, [path]).get(path)
        return None if found is None else self.read("cat-file", "blob", found[1])

    def entries(self, commit: str, paths: Iterable[str]) -> dict[str, tuple[str, str]]:
        """Mode and blob of those of the paths that are regular files at a commit."""
        wanted = [path for path in paths if grammar.is_path(path)]
        if not wanted:
            return {}
        self.require(commit)
        found = {}
        for line in self.read("ls-tree", "-z", "--full-tree", "--end-of-options", commit, "--", *wanted).split(b"\0")[
            :-1
        ]:
            mode, kind, rest = line.decode("utf-8", "surrogateescape").split(" ", 2)
            sha, _, path = rest.partition("\t")
            if kind == "blob" and mode != "120000":
                found[path] = (mode, sha)
        return found

    def commit(self, tree: str, parents: Sequence[str], message: str) -> str:
        """Write a commit by the run's signature; the same arguments make the same sha."""
        flags = [word for parent in parents for word in ("-p", parent)]
        return self.read("commit-tree", *flags, "-F", "-", tree, stdin=message.encode()).decode().strip()

    def tree_with(self, commit: str, files: Mapping[str, bytes]) -> str:
        """The tree of a commit with some files written anew; a file that is there keeps its mode."""
        modes = self.entries(commit, files)
        index = {"GIT_INDEX_FILE": str(self._new_index())}
        try:
            self.read("read-tree", commit, environ=index)
            lines = []
            for path, content in files.items():
                blob = self.read("hash-object", "-w", "--stdin", stdin=content).decode().strip()
                lines.append(f"{modes.get(path, ('100644', ''))[0]} {blob}\t{path}\0".encode())
            self.read("update-index", "-z", "--index-info", stdin=b"".join(lines), environ=index)
            return self.read("write-tree", environ=index).decode().strip()
        finally:
            Path(index["GIT_INDEX_FILE"]).unlink(missing_ok=True)

    def _new_index(self) -> Path:
        self.prepare()
        with tempfile.NamedTemporaryFile(prefix="index-", dir=self.folder) as file:
            return Path(file.name)  # git insists on making the file itself

    def check_out(self, commit: str, folder: Path) -> None:
        """Write the files of a commit into an empty folder: no hooks, no filters, no submodules.

        Not git archive: its export-ignore and export-subst attributes would leave files out and rewrite others.
        """
        self.require(commit)
        index = self._new_index()
        try:
            environ = {"GIT_INDEX_FILE": str(index)}
            self.read("read-tree", commit, environ=environ)
            self.read(
                f"--work-tree={folder}", "checkout-index", "--all", "--quiet", f"--prefix={folder}/", environ=environ
            )
        finally:
            index.unlink(missing_ok=True)


def _said(done: child.Finished) -> str:
    """All that a push says: its porcelain lines and its errors, as one line."""
    return f"{complaint(done)} {one_line(done.stdout.decode('utf-8', 'replace'), 2000)}"
