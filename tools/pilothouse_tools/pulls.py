"""Merged pull requests as the forge tells them: which one brought a commit, who let it, and at which head."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pilothouse_tools import forge
from pilothouse_tools.batches import Lookup, look_up
from pilothouse_tools.nested import follow

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_RELATED = 10  # pull requests of a commit on a first page; hardly any has two
_REVIEWS = 20  # of a pull request on a first page
_MORE = 100
# Who approved and then asked for changes approves no longer; what the forge dismissed is of neither state.
_STATES = "states: [APPROVED, CHANGES_REQUESTED]"
# Anybody may approve in a public repository; only who can push counts, as for the forge's own branch protection.
_CAN_PUSH = "authorCanPushToRepository"
_REVIEW = f"nodes {{ state author {{ login }} {_CAN_PUSH} commit {{ oid }} }} pageInfo {{ hasNextPage endCursor }}"
_FRAGMENT = (
    "fragment p on PullRequest { number title url body merged mergedAt author { login } mergedBy { login } baseRefName"
    " headRefName headRefOid mergeCommit { oid } commits { totalCount } repository { nameWithOwner }"
    f" reviews(first: {_REVIEWS}, {_STATES}) {{ {_REVIEW} }} }}"
)


@dataclass(frozen=True, slots=True)
class Pull:
    """A merged pull request.

    Attributes:
        branch: the name of its head branch.
        head: its newest commit when it was merged.
        merge: the commit on its base that came of it, empty where the forge names none.
        commits: how many it had.
        reviewers: who can push and approve it at last, the author left out, in the order of their approvals.
        reviewed: the commit of the newest of those approvals, empty where there is none.
        approved: the commits that one of them approves.
    """

    number: int
    title: str
    url: str
    body: str
    author: str
    merged_at: str
    merged_by: str
    base: str
    branch: str
    head: str
    merge: str
    commits: int
    reviewers: tuple[str, ...] = ()
    reviewed: str = ""
    approved: frozenset[str] = frozenset()


@dataclass(slots=True)
class Related:
    """What the forge says of commits: their merged pull requests by number, and the numbers by commit."""

    pulls: dict[int, Pull] = field(default_factory=dict)
    by_commit: dict[str, set[int]] = field(default_factory=dict)


def of_commits(context: Context, shas: Sequence[str]) -> Related:
    """The merged pull requests that brought commits, by the forge's own relation.

    Raises:
        ToolFailed: ``contents-incomplete``, ``forge-…``.
        Unreachable: ``forge-unreachable``, ``forge-rate-limited``.
    """

    def asked(sha: str, cursor: str = "") -> Lookup:
        first = f'first: {_MORE}, after: "{cursor}"' if cursor else f"first: {_RELATED}"
        page = f"associatedPullRequests({first}) {{ nodes {{ ...p }} pageInfo {{ hasNextPage endCursor }} }}"
        about = f'object(oid: "{sha}") {{ ... on Commit {{ repository {{ nameWithOwner }} {page} }} }}'
        return Lookup(about, f"the pull requests of commit {sha[:12]}")

    answers = look_up(context, [asked(sha) for sha in shas], _FRAGMENT)
    # A commit that the forge does not have is no commit without a pull request: look_up has raised for it.
    first = {sha: answer for sha, answer in zip(shas, answers, strict=True) if answer is not None}
    related = follow(context, first, ("associatedPullRequests",), asked, _FRAGMENT)
    found: dict[int, dict[str, Json]] = {}
    by_commit: dict[str, set[int]] = {}
    for sha, told in related.items():
        home = forge.word(first[sha], "repository", "nameWithOwner").casefold()
        # Of a fork's commits the relation also tells pull requests of other repositories.
        ours = [pull for pull in told if forge.word(pull, "repository", "nameWithOwner").casefold() == home]
        merged = {forge.number(pull): pull for pull in ours if pull.get("merged") is True}
        found |= merged
        by_commit[sha] = set(merged)
    return Related(_pulls(context, found), by_commit)


def by_number(context: Context, numbers: Iterable[int]) -> dict[int, Pull]:
    """The merged ones among pull requests; a number that is an issue's, or nobody's, is left out.

    Raises:
        ToolFailed: as ``of_commits``.
    """
    wanted = sorted(set(numbers))
    lookups = [Lookup(f"pullRequest(number: {number}) {{ ...p }}", f"pull request #{number}") for number in wanted]
    answers = zip(wanted, look_up(context, lookups, _FRAGMENT), strict=True)
    return _pulls(context, {number: pull for number, pull in answers if pull and pull.get("merged") is True})


def _pulls(context: Context, told: dict[int, dict[str, Json]]) -> dict[int, Pull]:
    def asked(number: int, cursor: str) -> Lookup:
        page = f'reviews(first: {_MORE}, after: "{cursor}", {_STATES}) {{ {_REVIEW} }}'
        return Lookup(f"pullRequest(number: {number}) {{ {page} }}", f"the reviews of pull request #{number}")

    reviews = follow(context, told, ("reviews",), asked)
    return {number: _pull(pull, reviews[number]) for number, pull in sorted(told.items())}


def _pull(told: dict[str, Json], reviews: list[dict[str, Json]]) -> Pull:
    author = forge.word(told, "author", "login")
    latest: dict[str, dict[str, Json]] = {}
    for review in reviews:  # oldest first
        login = forge.word(review, "author", "login")
        latest.pop(login, None)
        latest[login] = review
    approvals = {
        login: forge.word(review, "commit", "oid")
        for login, review in latest.items()
        if forge.word(review, "state") == "APPROVED" and login != author and review.get(_CAN_PUSH) is True
    }
    commits = told.get("commits")
    return Pull(
        number=forge.number(told), title=forge.word(told, "title"), url=forge.word(told, "url"),
        body=forge.word(told, "body"), author=author, merged_at=forge.word(told, "mergedAt"),
        merged_by=forge.word(told, "mergedBy", "login"), base=forge.word(told, "baseRefName"),
        branch=forge.word(told, "headRefName"), head=forge.word(told, "headRefOid"),
        merge=forge.word(told, "mergeCommit", "oid"),
        commits=forge.number(commits, "totalCount") if isinstance(commits, dict) else 0,
        reviewers=tuple(approvals), reviewed=next(reversed(approvals.values()), ""),
        approved=frozenset(filter(None, approvals.values())),
    )  # fmt: skip
