"""Where a promotion stands: the two branches, how far one is ahead, and where the clone is (AUD-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.canonical import Json
from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools import grammar, versionfiles
from pilothouse_tools.clone import checked_out
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from pilothouse_tools.context import Context


def _promotion(context: Context, arguments: Arguments) -> Observation:
    branch, base, repo = arguments.text("branch"), arguments.text("base"), context.repo
    refs = {name: f"refs/heads/{name}" for name in (branch, base)}
    heads = repo.heads(*refs.values())
    for name, ref in refs.items():
        if ref not in heads:
            told = f"the remote {context.product.remote} has no branch {name!r}"
            raise ToolFailed("branch-missing", told, "push it, or name another one in pilothouse.yml")
    head, target = heads[refs[branch]], heads[refs[base]]
    repo.require(head)
    repo.require(target)
    # To the left what only the base has, to the right what would be promoted.
    counted = repo.read("rev-list", "--left-right", "--count", "--end-of-options", f"{target}...{head}")
    behind, ahead = (int(number) for number in counted.split())
    where = checked_out(context.project)
    facts: dict[str, Json] = {
        "branch": branch, "base": base, "head_sha": head, "base_sha": target, "ahead": ahead, "behind": behind,
        "on": where if grammar.is_ref(where) else "",
    }  # fmt: skip
    return Observation(facts, head, f"{branch} is {ahead} ahead of {base}" + (f", {behind} behind" if behind else ""))


def _named(context: Context, arguments: Arguments) -> Observation:
    sha, version = arguments.text("sha"), ""
    for file in context.product.versioning.files[:1]:
        content = context.repo.file(sha, context.in_product(file.path))
        if content is None:
            raise ToolFailed("version-file", f"{file.path} does not exist at {sha[:12]}", "Mend pilothouse.yml.")
        version = versionfiles.named(file, content)
    if not grammar.is_version(version):
        version = ""
    return Observation({"version": version}, sha, version or "no file names a version")


TOOLS = (
    observes(
        "git.promotion", "How far a branch is ahead of the branch that it is promoted to, and what the clone is on",
        {"branch": Argument("ref"), "base": Argument("ref")},
        {
            "branch": "ref", "base": "ref", "head_sha": "sha", "base_sha": "sha", "ahead": "integer",
            "behind": "integer", "on": "text",
        }, _promotion,
    ),
    observes(
        "version.named", "The version that the version files of a commit name; empty where there are none",
        {"sha": Argument("sha")}, {"version": "version"}, _named,
    ),
)  # fmt: skip
