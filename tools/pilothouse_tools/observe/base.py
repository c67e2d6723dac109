"""The base of a run: the commit of the remote's base branch, and the release that came before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import semver

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Argument, Observation
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
    for version, sha in _released(context):
        repo.require(sha)
        if repo.is_ancestor(sha, head):
            return _pinned(head, version, sha)
    root = repo.read("rev-list", "--max-parents=0", "--end-of-options", head).decode().split()[-1]
    return _pinned(head, "0.0.0", root)


def _pinned(head: str, version: str, sha: str) -> Observation:
    return Observation({"to_sha": head, "from_version": version, "from_sha": sha}, head, f"{version} → {head[:7]}")


def _released(context: Context) -> list[tuple[str, str]]:
    """Released versions and their commits, the highest version first, from the remote's tags."""
    prefix = context.product.versioning.tag_prefix
    done = context.repo.run("ls-remote", "--tags", "--end-of-options", "upstream", f"refs/tags/{prefix}*", remote=True)
    if done.code or done.truncated:
        raise Unreachable(
            "remote-unreachable", "the remote's tags could not be read", "check the network, then try again"
        )
    commits: dict[str, str] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        sha, _, ref = line.partition("\t")
        # The peeled line of an annotated tag follows the tag's own, and is the commit that is meant.
        commits[ref.removesuffix("^{}").removeprefix(f"refs/tags/{prefix}")] = sha
    known = [(version, name) for name in commits if (version := _version(name)) is not None and not version.prerelease]
    return [(name, commits[name]) for _, name in sorted(known, reverse=True)]


def _version(text: str) -> semver.Version | None:
    return semver.Version.parse(text) if semver.Version.is_valid(text) else None


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


PIN = observes(
    "git.base", "The commit that would be released now, and the release before it", {},
    {"to_sha": "sha", "from_version": "version", "from_sha": "sha"}, _pin,
)  # fmt: skip
FILE = observes(
    "git.file", "A text file as it is at a commit",
    {"sha": Argument("sha"), "path": Argument("text")}, {"found": "flag", "text": "text"}, _read,
)  # fmt: skip
TOOLS = (PIN, FILE)
