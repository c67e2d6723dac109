"""Whether what landed is what merging a pull request's head gives: an approval of the head covers nothing else.

A merge commit may bring lines that neither side has, and a squash is a commit like any other. So the merge is made once
more, here, and its tree is compared. All of it takes two processes, and two to four more where heads must be fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.errors import Unreachable
from pilothouse_tools import grammar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pilothouse_tools.context import Context

NONE, DIFFERS, UNKNOWN, CONFLICT = "", "tree-differs", "head-unknown", "conflict"
_TIMEOUT = 300.0
_MERGE = ("merge-tree", "--write-tree", "--no-messages", "--allow-unrelated-histories")


@dataclass(frozen=True, slots=True)
class Landing:
    """How a pull request came onto its base.

    Attributes:
        number: of the pull request.
        before: the commit that the base was at; empty where there was none.
        head: the pull request's newest commit when it was merged.
        after: the last commit that came of it.
    """

    number: int
    before: str
    head: str
    after: str


def doubts(context: Context, landings: Sequence[Landing]) -> dict[int, str]:
    """What is to be said against each landing, by number.

    Returns:
        Empty: the tree is exactly what merging gives. ``tree-differs``; ``head-unknown``: the head cannot be had;
        ``conflict``: git does not merge it by itself, so somebody resolved it, and nobody can tell how well.

    Raises:
        Unreachable: the remote did not answer.
    """
    if not landings:
        return {}
    trees = _trees(context, [sha for each in landings for sha in (each.head, each.after)])
    lacking = {each.number: each.head for each in landings if each.head not in trees and grammar.is_sha(each.head)}
    if lacking:
        _fetch(context, lacking)
        trees |= _trees(context, lacking.values())
    asked = [each for each in landings if each.head in trees and each.before]
    merged = dict(zip(asked, _merged(context, [(each.before, each.head) for each in asked]), strict=True))
    return {each.number: _doubt(each, trees, merged) for each in landings}


def _doubt(landing: Landing, trees: Mapping[str, str], merged: Mapping[Landing, str]) -> str:
    if landing.head not in trees:
        return UNKNOWN
    if landing not in merged:
        return DIFFERS  # nothing was before it: no merge makes such a commit
    if not merged[landing]:
        return CONFLICT
    return NONE if merged[landing] == trees.get(landing.after) else DIFFERS


def _trees(context: Context, shas: Iterable[str]) -> dict[str, str]:
    """The trees of those commits that are here, by one process."""
    wanted = [sha for sha in dict.fromkeys(shas) if grammar.is_sha(sha)]
    asked = "".join(f"{sha}^{{tree}}\n" for sha in wanted).encode()
    lines = context.repo.read("cat-file", "--batch-check=%(objectname)", stdin=asked).decode().splitlines()
    return {sha: line for sha, line in zip(wanted, lines, strict=True) if grammar.is_sha(line)}


def _fetch(context: Context, heads: Mapping[int, str]) -> None:
    """Get the heads' objects in one fetch; where the remote lacks one, those that its pull requests still have."""
    if _fetched(context, heads.values()):
        return
    refs = {number: f"refs/pull/{number}/head" for number in heads}
    there = context.repo.heads(*refs.values())
    wanted = [ref for number, ref in refs.items() if there.get(ref) == heads[number]]
    if wanted and not _fetched(context, wanted):
        raise Unreachable("remote-unreachable", f"the heads of {len(wanted)} pull requests could not be fetched",
                          "Check the network and your access, then: pilothouse resume")  # fmt: skip


def _fetched(context: Context, wanted: Iterable[str]) -> bool:
    asked = "".join(f"{each}\n" for each in dict.fromkeys(wanted)).encode()
    done = context.repo.run(
        "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-maintenance",
        "--stdin", "--end-of-options", "upstream", stdin=asked, remote=True, timeout=_TIMEOUT,
    )  # fmt: skip
    return done.code == 0


def _merged(context: Context, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The tree of each merge, empty where there is a conflict.

    By one process; one a merge where git is older than 2.39, or where one of the merges ends it.
    """
    if not pairs:
        return []
    asked = "".join(f"{one} {other}\n" for one, other in pairs).encode()
    done = context.repo.run(*_MERGE, "--stdin", stdin=asked, timeout=_TIMEOUT)
    found = _answers(done.stdout) if done.code == 0 and not done.truncated else []
    return found if len(found) == len(pairs) else [_alone(context, one, other) for one, other in pairs]


def _answers(data: bytes) -> list[str]:
    """For each merge its status, its tree, the files in conflict, and an empty field."""
    fields = iter(data.decode("utf-8", "replace").split("\0"))
    found = []
    for status in fields:
        if status not in {"0", "1"}:
            break
        tree = next(fields, "")
        found.append(tree if status == "1" else "")
        while next(fields, ""):
            pass
    return found


def _alone(context: Context, one: str, other: str) -> str:
    done = context.repo.run(*_MERGE, "-z", "--end-of-options", one, other)
    tree = done.stdout.decode("utf-8", "replace").partition("\0")[0].strip()
    return tree if done.code == 0 and grammar.is_sha(tree) else ""
