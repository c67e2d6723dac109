"""One product's repository, looked at and written to without touching the user's clone.

All git work happens in a scratch repository of our own: bare, with our configuration only, and the clone's object store as
its alternate. So the clone's working tree, index, HEAD, refs and object store stay byte for byte as they are, and nothing
that its configuration names (hooks, filters, fsmonitor, ssh commands, aliases, credential helpers) ever runs. Of the
clone's configuration one value is read: the URL of the remote. Refs exist on the remote only.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import child, grammar
from pilothouse_tools.text import one_line

_MINUTE = 60.0
_NETWORK = 120.0
_REMOTE = "upstream"  # the remote's name within the scratch repository's environment: its URL is never an argument
# Configuration by environment variables: unlike -c it is in no argument list, so a URL with a token is not in `ps`.
_CONFIG = {
    "core.hooksPath": "/dev/null", "core.fsmonitor": "false", "core.pager": "cat", "core.attributesFile": "/dev/null",
    "core.sshCommand": "ssh -o BatchMode=yes", "core.autocrlf": "false", "core.quotePath": "false",
    "gc.auto": "0", "maintenance.auto": "false", "advice.detachedHead": "false",
    "protocol.allow": "never", "protocol.file.allow": "always", "protocol.ssh.allow": "always",
    "protocol.https.allow": "always", "protocol.http.allow": "always", "submodule.recurse": "false",
    "i18n.logOutputEncoding": "UTF-8", "i18n.commitEncoding": "UTF-8", "log.showSignature": "false",
    "commit.gpgSign": "false", "tag.gpgSign": "false", "push.gpgSign": "false", "push.followTags": "false",
    "diff.renames": "false", "merge.renames": "true", "merge.conflictStyle": "merge",
}  # fmt: skip
_MOVED = re.compile(r"stale info|fetch first|non-fast-forward|already exists|cannot lock ref|reference already exists")
_SCHEME = re.compile(r"(?:https?|ssh|file)://[^\s-]", re.IGNORECASE)
_SCP = re.compile(r"(?:[A-Za-z0-9._-]+@)?[A-Za-z0-9][A-Za-z0-9._-]*:(?!//)[^\s:-]")


@dataclass(frozen=True, slots=True)
class Signature:
    """Who makes the run's commits, and the one date of all of them (ISO 8601)."""

    name: str
    email: str
    date: str

    def environ(self) -> dict[str, str]:
        """As git reads it."""
        return {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (("NAME", self.name), ("EMAIL", self.email), ("DATE", self.date))
        }


class Repository:
    """The scratch repository, and through it the clone's objects and the remote's refs."""

    def __init__(
        self, project: Path, remote: str, scratch: Path, environ: Mapping[str, str], signature: Signature
    ) -> None:
        self.scratch = scratch
        self.folder = scratch / "repository.git"
        self.signature = signature
        self._project = project
        self._remote = remote
        self._environ = dict(environ)
        self._known: set[str] = set()  # commits whose whole history is here
        self._url = ""
        self._ready = False

    # -- the scratch repository -------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The remote's URL, from the clone's own configuration file alone."""
        if not self._url:
            self._url = self._read_url()
        return self._url

    def _read_url(self) -> str:
        top, common = _locate(self._project)
        # --file reads one file: no includes, no global configuration, nothing that runs.
        argv = [
            "git",
            "config",
            "--file",
            str(common / "config"),
            "--no-includes",
            "--get-all",
            f"remote.{self._remote}.url",
        ]
        done = child.run(argv, cwd=common, env=self._environ | _BARE, timeout=_MINUTE)
        urls = done.stdout.decode("utf-8", "replace").split("\n")[:-1]
        if len(urls) != 1:
            raise ToolFailed(
                "remote-not-configured", f"{self._project} has {len(urls)} URLs for the remote {self._remote!r}, not one",
                f"git remote add {self._remote} URL, or name another remote in pilothouse.yml",
            )  # fmt: skip
        return _checked_url(urls[0], top)

    def _prepare(self) -> None:
        if self._ready:
            return
        _, common = _locate(self._project)
        if not (self.folder / "HEAD").exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            argv = ["git", "init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(self.folder)]
            done = child.run(argv, cwd=self.folder, env=self._environ | _BARE, timeout=_MINUTE)
            if done.code:
                raise ToolFailed("git-failed", f"git init failed in {self.folder}: {_error(done)}")
        alternates = self.folder / "objects" / "info" / "alternates"
        alternates.parent.mkdir(parents=True, exist_ok=True)
        if "\n" in str(common):
            raise ToolFailed("git-failed", "the clone's path holds a line break")
        # A shallow or partial clone lacks objects without saying so to others: then everything is fetched instead.
        partial = (common / "shallow").exists() or any((common / "objects" / "pack").glob("*.promisor"))
        alternates.write_text("" if partial else f"{common / 'objects'}\n", encoding="utf-8")
        self._ready = True

    def run(
        self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None, remote: bool = False,
        timeout: float = _MINUTE, cap: int = 64_000_000,
    ) -> child.Finished:  # fmt: skip
        """One git command in the scratch repository; the caller judges how it ended.

        Args:
            arguments: fixed words, and values that fit their grammar.
            environ: more variables for this child.
            remote: whether it talks to the remote, called ``upstream``.
            timeout: seconds.
            cap: bytes of output kept.

        Raises:
            Unreachable: it ran out of time.
        """
        self._prepare()
        config = {**_CONFIG, **({f"remote.{_REMOTE}.url": self.url} if remote else {})}
        env = {**self._environ, **_BARE, **_as_environ(config), **self.signature.environ(), **(environ or {})}
        argv = ["git", f"--git-dir={self.folder}", "--literal-pathspecs", *arguments]
        done = child.run(argv, cwd=self.folder, env=env, timeout=timeout, stdin=stdin, output_cap=cap)
        if done.timed_out:
            code = "remote-unreachable" if remote else "git-timeout"
            raise Unreachable(
                code, f"git {arguments[0]} did not end within {timeout:.0f} s", "Check the remote and try again."
            )
        return done

    def read(self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> bytes:
        """The whole output of one local git command that must succeed. Raises ToolFailed("git-failed")."""
        done = self.run(*arguments, stdin=stdin, environ=environ)
        if done.code or done.truncated:
            raise ToolFailed("git-failed", f"git {arguments[0]} failed: {self._scrub(_error(done))}")
        return done.stdout

    def _scrub(self, message: str) -> str:
        return message.replace(self._url, self._remote) if self._url else message

    # -- the remote ---------------------------------------------------------------------------------------------------

    def heads(self, *refs: str) -> dict[str, str]:
        """What the remote's refs point at, asked now; refs that do not exist are left out.

        Args:
            refs: whole names, such as ``refs/heads/main`` or the peeled ``refs/tags/v1.0.0^{}``.

        Raises:
            Unreachable: the remote did not answer.
        """
        done = self.run("ls-remote", "--end-of-options", _REMOTE, *refs, remote=True, timeout=_NETWORK)
        if done.code or done.truncated:
            raise Unreachable("remote-unreachable", f"the remote {self._remote} does not answer: {self._scrub(_error(done))}",
                              "Check the network and your access, then: pilothouse resume")  # fmt: skip
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
            # A ref of the scratch repository keeps what was fetched in the next negotiation.
            done = self.run("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance",
                            "--end-of-options", _REMOTE, f"+{sha}:refs/fetched/{sha}", remote=True, timeout=_NETWORK)  # fmt: skip
            if not self._has(sha):
                self._raise_unfetched(sha, done)
        self._known.add(sha)

    def _has(self, sha: str) -> bool:
        return self.run("cat-file", "-e", f"{sha}^{{commit}}").code == 0

    def _raise_unfetched(self, sha: str, done: child.Finished) -> None:
        message = self._scrub(_error(done))
        if re.search(r"not our ref|unadvertised object|bad object|no such ref|couldn't find remote ref", message):
            raise ToolFailed(
                "commit-unknown", f"commit {sha[:12]} is neither here nor on {self._remote}", "Push it first."
            )
        raise Unreachable("remote-unreachable", f"commit {sha[:12]} could not be fetched: {message}")

    def push(self, ref: str, new: str, expected: str, timeout: float = _NETWORK) -> None:
        """Move one remote ref by compare-and-swap, forward only.

        A push whose answer was lost is judged by reading the ref back. An empty ``new`` deletes, an empty ``expected``
        demands that the ref does not exist yet.

        Raises:
            ToolFailed: ``ref-moved`` (somebody was first), ``not-fast-forward``, ``push-refused`` (by the remote's rules).
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
            done = self.run("push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", "--no-signed",
                            f"--force-with-lease={ref}:{expected}", "--end-of-options", _REMOTE, f"{new}:{ref}",
                            remote=True, timeout=timeout)  # fmt: skip
        except Unreachable:
            if self.heads(ref).get(ref, "") == new:
                return
            raise
        # The exit code proves nothing, either way.
        if self.heads(ref).get(ref, "") != new:
            self._raise_unpushed(ref, expected, done)

    def _raise_unpushed(self, ref: str, expected: str, done: child.Finished) -> None:
        said = self._scrub(_error(done) + " " + done.stdout.decode("utf-8", "replace"))
        if _MOVED.search(said) or self.heads(ref).get(ref, "") != expected:
            raise ToolFailed("ref-moved", f"{ref} is not at {expected[:12] or 'its absence'} any more: somebody else moved it",
                             "Look at who pushed; then: pilothouse resume", detail=one_line(said, 1000))  # fmt: skip
        if "[remote rejected]" in said or "[rejected]" in said or not done.code:
            raise ToolFailed("push-refused", f"the remote refused to move {ref}: {one_line(said, 300)}",
                             "Check the branch's protection rules and your access.", detail=one_line(said, 1000))  # fmt: skip
        raise Unreachable("remote-unreachable", f"{ref} could not be pushed: {one_line(said, 300)}",
                          "Check the network and your access, then: pilothouse resume")  # fmt: skip

    # -- objects ------------------------------------------------------------------------------------------------------

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether ``newer`` contains ``older``; both must be here."""
        done = self.run("merge-base", "--is-ancestor", older, newer)
        if done.code not in {0, 1}:
            raise ToolFailed("git-failed", f"git merge-base failed: {_error(done)}")
        return done.code == 0

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
        self._prepare()
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


_BARE = {
    "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false", "GIT_ATTR_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_PAGER": "cat", "GIT_ADVICE": "0",
}  # fmt: skip


def _as_environ(config: Mapping[str, str]) -> dict[str, str]:
    environ = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        environ[f"GIT_CONFIG_KEY_{number}"] = key
        environ[f"GIT_CONFIG_VALUE_{number}"] = value
    return environ


def _error(done: child.Finished) -> str:
    return one_line(done.stderr.decode("utf-8", "replace"), 600) or f"exit {done.code}"


def _locate(project: Path) -> tuple[Path, Path]:
    """The clone's top folder and its common git folder, found without running anything in it."""
    for top in (project, *project.parents):
        mark = top / ".git"
        if mark.is_dir():
            return top, mark
        if mark.is_file():  # a linked worktree or a submodule
            own = top / mark.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
            common = own / "commondir"
            return top, (
                own / common.read_text(encoding="utf-8").strip()
            ).resolve() if common.is_file() else own.resolve()
    raise ToolFailed(
        "not-a-repository", f"{project} is no git clone", "Run pilothouse in a clone, or name it with --project."
    )


def _checked_url(url: str, top: Path) -> str:
    """The URL where its form is one that git cannot be made to run something by (no ``ext::``, no option-like host)."""
    if url.isprintable() and (_SCHEME.match(url) or url.startswith("/")):
        return url
    if url.isprintable() and _SCP.match(url):
        return url
    if url.startswith(("./", "../")) and url.isprintable():
        return str((top / url).resolve())
    raise ToolFailed("remote-refused", f"the remote's URL {one_line(url, 80)!r} is none that Pilothouse follows",
                     "Use an https, ssh or file URL.")  # fmt: skip
