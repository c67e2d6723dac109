"""The git remote of an export: fetched into a repository that is thrown away, and what its pilothouse.yml says."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pilothouse import config
from pilothouse.errors import InvalidFile, ToolFailed, Unreachable, UsageError
from pilothouse.exported import MANIFEST
from pilothouse.proving.found import Proof, environ
from pilothouse.settings import Product
from pilothouse_tools import audited, child, grammar
from pilothouse_tools.clone import CONFIG, as_environ
from pilothouse_tools.text import one_line

_NETWORK = 600.0
_LOCAL = 120.0
_MOST = 100_000_000
_HEAD = "ref: refs/heads/"


@dataclass(frozen=True, slots=True)
class _Folder:
    """A bare repository of our own, whose one remote is what the auditor named."""

    place: str
    address: str

    def run(self, *arguments: str, stdin: bytes = b"", timeout: float = _LOCAL) -> child.Finished:
        argv = ["git", f"--git-dir={self.place}", "--literal-pathspecs", *arguments]
        env = {**environ(), **as_environ({**CONFIG, "remote.audited.url": self.address})}
        return child.run(argv, cwd=Path(self.place), env=env, timeout=timeout, stdin=stdin, output_cap=_MOST)

    def read(self, *arguments: str, stdin: bytes = b"") -> bytes:
        done = self.run(*arguments, stdin=stdin)
        if done.code or done.truncated or done.timed_out:
            said = one_line(done.stderr.decode("utf-8", "replace"))
            raise ToolFailed("git-failed", f"git {arguments[0]} failed: {said}")
        return done.stdout

    def asked(self, *arguments: str) -> str:
        done = self.run(*arguments, timeout=_NETWORK)
        if done.code or done.timed_out:
            said = one_line(done.stderr.decode("utf-8", "replace"))
            raise Unreachable("remote-unreachable", f"the remote could not be fetched: {said}",
                              "name a URL or a clone with --remote")  # fmt: skip
        return done.stdout.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Remote:
    """What was fetched.

    Attributes:
        read: runs a git command there.
        default: the default branch; empty: the remote names none.
        tips: each branch of the remote by name, as it was when it was asked.
    """

    folder: _Folder
    default: str
    tips: Mapping[str, str]

    @property
    def read(self) -> audited.Read:
        """Runs a git command where everything was fetched to."""
        return self.folder.read

    def fetch(self, branches: Iterable[str]) -> None:
        """Fetch branches (those that the remote has), and every tag.

        Raises:
            UsageError: ``no-export``: what the manifest names is no branch.
            Unreachable: the remote did not answer.
        """
        names = sorted(set(branches))
        for name in names:
            if not grammar.is_ref(name):
                raise UsageError("no-export", f"the manifest's branch {name[:80]!r} is none", "was it changed by hand?")
        wanted = [f"+refs/heads/{name}:refs/heads/{name}" for name in names if name in self.tips]
        self.folder.asked(
            "fetch", "--quiet", "--no-recurse-submodules", "--no-auto-maintenance", "--no-write-fetch-head",
            "--end-of-options", "audited", *wanted, "+refs/tags/*:refs/tags/*",
        )  # fmt: skip

    def tip(self, branch: str) -> str:
        """The commit of a fetched branch; empty: the remote has no such branch."""
        ref = f"refs/heads/{branch}"
        try:
            return self.read("rev-parse", "--verify", "--quiet", "--end-of-options", ref).decode().strip()
        except ToolFailed:
            return ""

    def descends(self, older: str, newer: str) -> bool:
        """Whether a commit is part of another one's history."""
        try:
            self.read("merge-base", "--is-ancestor", older, newer)
        except ToolFailed:
            return False
        return True


@contextmanager
def opened(remote: str) -> Iterator[Remote]:
    """Ask a remote for its branches, and make a place for what is fetched of it.

    Args:
        remote: a URL, or the folder of a repository.

    Raises:
        Unreachable: the remote did not answer.
    """
    address = str(Path(remote).resolve()) if Path(remote).is_dir() else remote
    with tempfile.TemporaryDirectory(prefix="pilothouse-proof-") as place:
        folder = _Folder(place, address)
        folder.read("init", "--quiet", "--bare", "--template=", "--object-format=sha1")
        default, tips = "", {}
        for line in folder.asked("ls-remote", "--symref", "--end-of-options", "audited").splitlines():
            first, _, name = line.partition("\t")
            if name == "HEAD" and first.startswith(_HEAD):
                default = first.removeprefix(_HEAD)
            elif name.startswith("refs/heads/"):
                tips[name.removeprefix("refs/heads/")] = first
        yield Remote(folder, default, tips)


def audited_products(remote: Remote, proof: Proof) -> dict[str, Product] | None:
    """The products that pilothouse.yml on the remote's default branch audits; None: nothing there can be read."""
    place = f"{remote.default or 'HEAD'}:{config.FILE}"
    if not remote.default or remote.default not in remote.tips:
        proof.add(place, "config-missing", "the remote names no default branch: nothing says what belongs here")
        return None
    remote.fetch([remote.default])
    try:
        text = remote.read("show", "--end-of-options", f"refs/heads/{place}").decode("utf-8")
        found = config.parse(text, config.FILE)
    except ToolFailed:
        proof.add(place, "config-missing", "the remote has no such file: nothing says what belongs here")
        return None
    except (InvalidFile, UnicodeDecodeError) as error:
        told = one_line(error.message if isinstance(error, InvalidFile) else "it is not UTF-8")
        proof.add(place, "config-missing", f"it cannot be read, so that nothing says what belongs here: {told}")
        return None
    return {name: product for name, product in found.products.items() if product.audit}


def hold_claims(claims: Mapping[str, Mapping[str, object]], products: Mapping[str, Product], proof: Proof) -> None:
    """What the manifest says of products must be what pilothouse.yml on the remote says."""
    for name in sorted(products.keys() - claims.keys()):
        proof.add(MANIFEST, "product-missing", f"the remote's {config.FILE} audits {name}")
    for name, claim in claims.items():
        product = products.get(name)
        if product is None or product.audit is None:
            proof.add(MANIFEST, "manifest-differs", f"the remote's {config.FILE} audits no {name}")
            continue
        due = {"base": product.base, "branch": product.audit.branch, "public_key": product.audit.public_key}
        for field, value in due.items():
            if claim.get(field) != value:
                told = f"{field} of {name} is {claim.get(field)!a}, in the remote's {config.FILE} it is {value!a}"
                proof.add(MANIFEST, "manifest-differs", told)
