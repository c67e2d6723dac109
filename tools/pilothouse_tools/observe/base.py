"""The base of a run: the commit of the remote's base branch, and the release that came before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import semver

from pilothouse.canonical import Json
from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Argument, Observation
from pilothouse_tools import grammar
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from pilothouse_tools.context import Context

_FILE_LIMIT = 300_000


def _pin(context: Context, _arguments: Arguments) -> Observation:
    product, repo = context.product, context.repo
    head = repo.head(product.base)
    if not head:
        raise ToolFailed("base-missing", f"the remote {product.remote} has no branch {product.base!r}",
                         "push it, or name another base in pilothouse.yml")  # fmt: skip
    repo.require(head)
    told = _told(context)
    for version, sha in _released(context, told):
        repo.require(sha)
        if repo.is_ancestor(sha, head):
            return _pinned(product.remote, product.base, head, version, sha, told)
    root = repo.read("rev-list", "--max-parents=0", "--end-of-options", head).decode().split()[-1]
    return _pinned(product.remote, product.base, head, "0.0.0", root, told)


def _pinned(remote: str, base: str, head: str, version: str, sha: str, told: list[str]) -> Observation:
    # The branch that the remote itself calls its own: no file of a working tree has a say in it.
    rows = [line.split("\t", 1) for line in told if line.endswith("\tHEAD")]
    named = [first.removeprefix("ref: refs/heads/") for first, _ in rows if first.startswith("ref: refs/heads/")]
    commits = [first for first, _ in rows if not first.startswith("ref: ")]
    facts: dict[str, Json] = {"to_sha": head, "from_version": version, "from_sha": sha}
    facts |= {
        "remote": remote,
        "base": base,
        "trunk": named[0] if named else "",
        "trunk_sha": commits[0] if named and commits else "",
    }
    return Observation(facts, head, f"{version} → {head[:7]}")


def _told(context: Context) -> list[str]:
    """What the remote tells of its tags and of its default branch, line by line."""
    tags = f"refs/tags/{context.product.versioning.tag_prefix}*"
    done = context.repo.run("ls-remote", "--symref", "--end-of-options", "upstream", "HEAD", tags, remote=True)
    if done.code or done.truncated:
        raise Unreachable(
            "remote-unreachable", "the remote's tags could not be read", "check the network, then try again"
        )
    return done.stdout.decode("utf-8", "replace").splitlines()


def _released(context: Context, told: list[str]) -> list[tuple[str, str]]:
    """Released versions and their commits, the highest version first, from the remote's tags."""
    prefix = context.product.versioning.tag_prefix
    commits: dict[str, str] = {}
    for line in told:
        sha, _, ref = line.partition("\t")
        if not ref.startswith("refs/tags/"):
            continue
        # The peeled line of an annotated tag follows the tag's own, and is the commit that is meant.
        commits[ref.removesuffix("^{}").removeprefix(f"refs/tags/{prefix}")] = sha
    known = [(version, name) for name in commits if (version := _version(name)) is not None and not version.prerelease]
    return [(name, commits[name]) for _, name in sorted(known, reverse=True)]


def _version(text: str) -> semver.Version | None:
    return semver.Version.parse(text) if grammar.is_version(text) else None


def _read(context: Context, arguments: Arguments) -> Observation:
    sha, path = arguments.text("sha"), arguments.text("path")
    content = context.repo.file(sha, path)
    if content is None:
        return Observation({"found": False, "text": ""}, sha, f"{path} is not there")
    if len(content) > _FILE_LIMIT:
        raise ToolFailed("file-too-large", f"{path} at {sha[:7]} holds more than {_FILE_LIMIT} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ToolFailed("file-not-text", f"{path} at {sha[:7]} is not UTF-8") from error
    return Observation({"found": True, "text": text}, sha, f"{path} at {sha[:7]}")


def _origin(context: Context, arguments: Arguments) -> Observation:
    """Where a clone came from is in no file of the tree: it is asked what the tree may name as its remote."""
    path = arguments.text("path")
    try:
        origin = context.repo.others("origin")
    except ToolFailed as failure:
        if failure.reason_code != "remote-not-configured":
            raise
        return Observation({"exists": False, "found": False, "text": ""}, "", "the clone has no origin")
    done = origin.run("ls-remote", "--symref", "--end-of-options", "upstream", "HEAD", remote=True)
    rows = dict(line.split("\t")[::-1] for line in done.stdout.decode("utf-8", "replace").splitlines()[-1:])
    sha = rows.get("HEAD", "")
    if done.code or not grammar.is_sha(sha):
        raise Unreachable("remote-unreachable", "origin could not be read", "check the network, then try again")
    origin.require(sha)
    content = origin.file(sha, path)
    text = content.decode("utf-8", "replace")[:_FILE_LIMIT] if content is not None else ""
    facts: dict[str, Json] = {"exists": True, "found": content is not None, "text": text}
    return Observation(facts, sha, f"{path} at origin's {sha[:7]}")


PIN = observes(
    "git.base", "The commit that would be released now, and the release before it", {},
    {
        "to_sha": "sha", "from_version": "version", "from_sha": "sha", "remote": "text", "base": "text",
        "trunk": "text", "trunk_sha": "sha",
    }, _pin,
)  # fmt: skip
ORIGIN = observes(
    "git.origin", "A text file at the head of origin's default branch, whichever remote the product names",
    {"path": Argument("text")}, {"exists": "flag", "found": "flag", "text": "text"}, _origin,
)  # fmt: skip
FILE = observes(
    "git.file", "A text file as it is at a commit",
    {"sha": Argument("sha"), "path": Argument("text")}, {"found": "flag", "text": "text"}, _read,
)  # fmt: skip
TOOLS = (PIN, FILE, ORIGIN)
