"""The scratch repository and git's one way into it: our own configuration, nothing of the clone's or the user's."""

from __future__ import annotations

import base64
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import child
from pilothouse_tools.clone import BARE, CONFIG, alternates, as_environ, remote_url
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

MINUTE = 60.0
# Whatever was found in its place: a configuration can name programs, and other places than the remote.
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"
# Before every attribute of the tree: what is checked out are the bytes that were committed.
_ATTRIBUTES = "* -text !eol -ident -filter !working-tree-encoding !crlf\n"
UPSTREAM = "upstream"  # the remote's name within the scratch repository's environment: its URL is never an argument
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


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


class Scratch:
    """The scratch repository: where it is, and how git runs in it."""

    def __init__(
        self,
        project: Path,
        remote: str,
        scratch: Path,
        environ: Mapping[str, str],
        signature: Signature,
        token: str = "",
    ) -> None:
        self._token = token
        self._known: set[str] = set()  # commits whose whole history is here
        self.scratch = scratch
        self.folder = scratch / "repository.git"
        self.signature = signature
        self._project = project
        self.remote = remote
        self._environ = dict(environ)
        self._url = ""
        self._ready = False

    @property
    def url(self) -> str:
        """The remote's URL, from the clone's own configuration file alone."""
        if not self._url:
            self._url = remote_url(self._project, self.remote, self._environ)
        return self._url

    def others(self, remote: str) -> Self:
        """The same scratch repository for another remote of the clone, without this one's token.

        Raises:
            ToolFailed: ``remote-not-configured``, ``remote-refused``.
        """
        other = type(self)(self._project, remote, self.scratch, self._environ, self.signature)
        other.url  # noqa: B018 - asked now: whoever wants it may have none
        return other

    def prepare(self) -> None:
        """Make the scratch repository where it is not there yet."""
        if self._ready:
            return
        if not (self.folder / "HEAD").exists():
            self._make()
        exchange(self.folder / "config", _CONFIG)
        exchange(self.folder / "objects" / "info" / "alternates", alternates(self._project))
        exchange(self.folder / "info" / "attributes", _ATTRIBUTES)
        self._ready = True

    def _make(self) -> None:
        """A repository made aside and moved into its place as a whole; whoever comes second takes the first one's."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="repository-", dir=self.scratch) as aside:
            fresh = Path(aside) / self.folder.name
            argv = ["git", "init", "--quiet", "--bare", "--template=", "--object-format=sha1", str(fresh)]
            done = child.run(argv, cwd=Path(aside), env=self._environ | BARE, timeout=MINUTE)
            if done.code:
                raise ToolFailed("git-failed", f"git init failed in {self.folder}: {self.scrub(complaint(done))}")
            try:
                fresh.rename(self.folder)
            except OSError as error:
                if not (self.folder / "HEAD").exists():
                    hint = "It only holds what is fetched again: remove it, then pilothouse resume"
                    message = f"{self.folder} is in the way and is no repository ({error.strerror})"
                    raise ToolFailed("git-failed", message, hint) from None

    def run(
        self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None, remote: bool = False,
        timeout: float = MINUTE, cap: int = 64_000_000,
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
        self.prepare()
        config = {**CONFIG, **(self._upstream() if remote else {})}
        env = {**self._environ, **BARE, **as_environ(config), **self.signature.environ(), **(environ or {})}
        argv = ["git", f"--git-dir={self.folder}", "--literal-pathspecs", *arguments]
        done = child.run(argv, cwd=self.folder, env=env, timeout=timeout, stdin=stdin, output_cap=cap)
        if done.timed_out:
            code = "remote-unreachable" if remote else "git-timeout"
            raise Unreachable(
                code, f"git {arguments[0]} did not end within {timeout:.0f} s", "Check the remote and try again."
            )
        return done

    def _upstream(self) -> dict[str, str]:
        """The remote's URL and, where a token is configured, the header that logs in to exactly that host.

        Through the environment, so that neither is in a list of processes; never over plain HTTP but to this machine.
        """
        config = {f"remote.{UPSTREAM}.url": self.url}
        parts = urlsplit(self.url)
        if self._token and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
            login = base64.b64encode(f"x-access-token:{self._token}".encode()).decode()
            config[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = f"Authorization: Basic {login}"
        return config

    def read(self, *arguments: str, stdin: bytes = b"", environ: Mapping[str, str] | None = None) -> bytes:
        """The whole output of one local git command that must succeed. Raises ToolFailed("git-failed")."""
        done = self.run(*arguments, stdin=stdin, environ=environ)
        if done.code or done.truncated:
            raise ToolFailed("git-failed", f"git {arguments[0]} failed: {self.scrub(complaint(done))}")
        return done.stdout

    def scrub(self, message: str, limit: int = 600) -> str:
        """A message without the remote's URL, which may hold a token, and only then cut to its length."""
        for held, shown in ((self._url, self.remote), (self._token, "[redacted]")):
            message = message.replace(held, shown) if held else message
        return one_line(message, limit)


def exchange(file: Path, content: str) -> None:
    """Give a file this content where it has another, as a whole: another conductor's git may be reading it now."""
    file.parent.mkdir(parents=True, exist_ok=True)
    held = content.encode("utf-8", "surrogateescape")
    if file.exists() and file.read_bytes() == held:
        return
    with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as fresh:
        fresh.write(held)
    Path(fresh.name).replace(file)


def complaint(done: child.Finished) -> str:
    """What a child wrote to standard error, as one line, bounded so far that no URL or secret in it is cut in two."""
    return one_line(done.stderr.decode("utf-8", "replace"), 8000) or f"exit {done.code}"
