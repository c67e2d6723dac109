"""What a promotion would bring to production: commits, pull requests, tickets, archives, areas (AUD-4, AUD-6, I17)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse import settings
from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools import landed, pulls, trail
from pilothouse_tools.areas import changes
from pilothouse_tools.auditbranch import archive_of, archives, own
from pilothouse_tools.door import Arguments, observes
from pilothouse_tools.landed import Landing
from pilothouse_tools.mentions import Mentions
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context
    from pilothouse_tools.pulls import Pull, Related
    from pilothouse_tools.trail import Entry

_MOST = 10_000  # commits; more is no promotion that anybody can look through
_LOG = 512_000_000  # bytes
_DIFF = 64_000_000


@dataclass(frozen=True, slots=True)
class _Linked:
    """A range with its pull requests.

    Attributes:
        entries: its commits by sha, oldest first.
        pulls: the pull requests that count, by number.
        by_commit: the numbers of each commit's.
    """

    entries: Mapping[str, Entry]
    pulls: Mapping[int, Pull]
    by_commit: Mapping[str, set[int]]


def _contents(context: Context, arguments: Arguments) -> Observation:
    older, newer = arguments.text("from"), arguments.text("to")
    context.repo.require(newer)
    context.repo.require(older)
    audit = context.product.audit or settings.Audit()
    entries = _entries(context, older, newer)
    branch = context.repo.head(audit.branch)
    if branch:
        context.repo.require(branch)
    linked = _linked(context, entries)
    runs, archived = own(context, entries, branch), archives(context, branch, audit.archive)
    tickets = context.product.tickets or settings.Tickets()
    named = Mentions(tickets.pattern, entries, linked.pulls, linked.by_commit)
    numbers, keys = sorted(linked.pulls), named.all()
    doubts = landed.doubts(context, list(_landings(linked)))
    areas, everything = _changes(context, older, newer, audit)
    facts: dict[str, Json] = {
        "commits": [_commit(linked, entry, named) | {"own": runs.get(entry.sha, "")} for entry in entries],
        "pulls": _pulls(linked, named, {n: archive_of(audit.archive, n) for n in numbers}, archived, doubts),
        "tickets": [*keys],
        "unlinked": [
            {"sha": entry.sha, "subject": one_line(entry.subject), "author": one_line(entry.author, 100)}
            for entry in entries
            if not linked.by_commit[entry.sha] and entry.sha not in runs
        ],
        "own": [
            {"sha": entry.sha, "subject": one_line(entry.subject), "run": runs[entry.sha]}
            for entry in entries
            if entry.sha in runs
        ],
        "missing_archives": [number for number in numbers if archive_of(audit.archive, number) not in archived],
        "unreviewed": [number for number in numbers if not _reviewed(linked.pulls[number], doubts)],
        "areas": areas,
        "counts": {"commits": len(entries), "pulls": len(numbers), "tickets": len(keys), **everything},
        "unread": [],
    }
    return Observation(facts, newer, f"{len(entries)} commits, {len(numbers)} pull requests, {len(keys)} tickets")


def _entries(context: Context, older: str, newer: str) -> list[Entry]:
    done = context.repo.run(*trail.LOG, "--end-of-options", f"{older}..{newer}", timeout=300, cap=_LOG)
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git log failed, or said too much (exit {done.code})")
    try:
        entries = list(trail.parse(done.stdout))
    except ValueError as error:
        raise ToolFailed("git-failed", f"git log is not to be understood: {error}") from None
    # The commit just above the lower end is in the range exactly when the upper end descends from it.
    if older != newer and not any(older in entry.parents for entry in entries):
        raise ToolFailed("not-an-ancestor", f"{newer[:12]} does not descend from {older[:12]}, which is released",
                         "Merge what was released into the branch that is promoted, then try again.")  # fmt: skip
    if len(entries) > _MOST:
        raise ToolFailed("contents-too-many", f"{len(entries)} commits are more than the {_MOST} that are read",
                         "Promote an earlier commit first.")  # fmt: skip
    return entries


# -- pull requests ----------------------------------------------------------------------------------------------------


def _linked(context: Context, entries: Sequence[Entry]) -> _Linked:
    """Each commit's pull requests: by the forge's relation, by its subject, by the merge that brought it in."""
    by_sha = {entry.sha: entry for entry in entries}
    related = pulls.of_commits(context, list(by_sha))
    named = {entry.named for entry in entries} - {0} - related.pulls.keys()
    told = {**related.pulls, **pulls.by_number(context, named)}
    # A pull request that was merged elsewhere, or long ago, brought nothing into this range, whoever names it.
    here = {number: pull for number, pull in told.items() if (pull.merge or pull.head) in by_sha}
    # One into any other branch was reviewed for that branch: it counts where one that counts brought it along.
    bases = {(context.product.promotion or settings.Promotion()).branch, context.product.base}
    counted = {number: pull for number, pull in here.items() if pull.base in bases}
    by_commit = _by_commit(by_sha, related, counted)
    along = {n: pull for n, pull in here.items() if n not in counted and by_commit[pull.merge or pull.head]}
    if along:
        counted |= along
        by_commit = _by_commit(by_sha, related, counted)
    return _Linked(by_sha, counted, by_commit)


def _by_commit(by_sha: Mapping[str, Entry], related: Related, counted: Mapping[int, Pull]) -> dict[str, set[int]]:
    by_commit = {sha: related.by_commit.get(sha, set()) & counted.keys() for sha in by_sha}
    for number, pull in counted.items():
        by_commit[pull.merge or pull.head].add(number)
    merges = {
        pull.merge: number
        for number, pull in counted.items()
        # Only a merge of exactly what was reviewed speaks for the commits behind it.
        if pull.merge in by_sha and pull.head in by_sha[pull.merge].parents[1:]
    }
    for sha, numbers in trail.brought([*by_sha.values()], merges).items():
        by_commit[sha] |= numbers
    return by_commit


def _landings(linked: _Linked) -> Iterator[Landing]:
    """The pull requests that came by a commit of the base's own, which may hold anything."""
    for number, pull in linked.pulls.items():
        last = linked.entries.get(pull.merge)
        if last is None or pull.merge == pull.head:
            continue  # its commits as they are: what was approved is what there is
        first = last
        while len(first.parents) == 1:  # a rebase leaves several
            below = linked.entries.get(first.parents[0])
            if below is None or len(below.parents) != 1 or number not in linked.by_commit[below.sha]:
                break
            first = below
        yield Landing(number, first.parents[0] if first.parents else "", pull.head, pull.merge)


def _reviewed(pull: Pull, doubts: Mapping[int, str]) -> bool:
    """Whether somebody other than the author approved exactly what was merged, and nothing else came of it (I17)."""
    return bool(pull.head) and pull.head in pull.approved and not doubts.get(pull.number)


def _how(pull: Pull, merge: Entry | None, brought: int) -> str:
    """How it was merged.

    Args:
        pull: the pull request.
        merge: the commit on its base that came of it.
        brought: how many commits of the range are its.
    """
    if merge is None or pull.merge == pull.head:
        return "rebase"  # its commits as they are
    if len(merge.parents) > 1:
        return "merge"
    # One commit of one may have come either way: a squash marks its subject.
    return "rebase" if brought > 1 or (pull.commits == 1 and merge.named != pull.number) else "squash"


def _pulls(
    linked: _Linked, named: Mentions, paths: Mapping[int, str], archived: Mapping[str, str], doubts: Mapping[int, str]
) -> list[Json]:
    brought = Counter(number for numbers in linked.by_commit.values() for number in numbers)
    return [
        {
            "number": number, "title": one_line(pull.title), "url": one_line(pull.url, 300), "author": pull.author,
            "merged_at": pull.merged_at, "merged_by": pull.merged_by, "base": one_line(pull.base),
            "head_sha": pull.head, "merge_commit": pull.merge,
            "how": _how(pull, linked.entries.get(pull.merge), brought[number]), "reviewers": list(pull.reviewers),
            "reviewed_sha": pull.reviewed, "reviewed": _reviewed(pull, doubts),
            "doubt": doubts.get(number, ""), "tickets": [*named.of_pull(number)],
            "archive": paths[number] if paths[number] in archived else "",
            "archive_sha": archived.get(paths[number], ""),
        }
        for number, pull in sorted(linked.pulls.items())
    ]  # fmt: skip


def _commit(linked: _Linked, entry: Entry, named: Mentions) -> dict[str, Json]:
    return {
        "sha": entry.sha, "parents": list(entry.parents), "author": one_line(entry.author, 100),
        "email": one_line(entry.email, 200), "at": entry.at, "subject": one_line(entry.subject),
        "tickets": [*named.of_commit(entry.sha)], "pulls": [*sorted(linked.by_commit[entry.sha])],
    }  # fmt: skip


def _changes(context: Context, older: str, newer: str, audit: settings.Audit) -> tuple[list[Json], dict[str, Json]]:
    """What differs between what runs and what shall run: a change that was taken back is none."""
    done = context.repo.run(
        "diff-tree", "-r", "-z", "--numstat", "--no-renames", "--no-ext-diff", "--no-textconv", "--end-of-options",
        older, newer, timeout=300, cap=_DIFF,
    )  # fmt: skip
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git diff-tree failed, or said too much (exit {done.code})")
    folder = context.product.path.strip("/")
    try:
        areas, everything = changes(done.stdout, audit.areas, "" if folder == "." else folder)
    except ValueError as error:
        raise ToolFailed("git-failed", f"git diff-tree is not to be understood: {error}") from None
    return areas, everything.facts()


TOOLS = (
    observes(
        "audit.contents",
        "What a promotion brings: every commit with its pull requests, reviews, tickets, archives, changes by area.",
        {
            "from": Argument("sha", about="what production runs, not in the range"),
            "to": Argument("sha", about="to be promoted"),
        },
        {
            "commits": "object", "pulls": "object", "tickets": "names", "unlinked": "object", "own": "object",
            "missing_archives": "object", "unreviewed": "object", "areas": "object", "counts": "object",
            "unread": "object",
        },
        _contents,
    ),
)  # fmt: skip
