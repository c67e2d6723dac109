"""What the forge remembers from before the world began: pull requests, issues, labels, releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.harbour import story
from pilothouse.harbour.forge.store import Row, Store, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pilothouse.harbour.history import Landed

HOUR = 3600


def seed(file: Path, landed: list[Landed]) -> None:
    """Makes the forge's memory out of the history that was built."""
    store = Store(file)
    store.put_all(_rows(landed))
    store.close()


def _rows(landed: list[Landed]) -> Iterator[tuple[str, Row]]:
    for name, (color, description) in story.LABELS.items():
        yield "labels", {"name": name, "color": color, "description": description}
    for issue in story.ISSUES:
        times = {"created": stamp(landed[-1].at - 90 * HOUR), "updated": stamp(landed[-1].at - 90 * HOUR)}
        solved = issue.number == story.SOLVED
        yield (
            "threads",
            {
                "number": issue.number,
                "kind": "issue",
                "title": issue.title,
                "body": issue.body,
                "author": issue.author,
                "state": "CLOSED" if solved else "OPEN",
                "closed": times["updated"] if solved else None,
                "labels": list(issue.labels),
                **times,
            },
        )
    for place in landed:
        if place.change.number:
            yield "threads", _pull(place)
        if place.change.tag:
            yield "releases", _release(place)


def _pull(place: Landed) -> Row:
    change, merged = place.change, stamp(place.at) if place.merged else None
    review = {"login": change.reviewer, "state": "APPROVED", "sha": place.commits[-1], "at": stamp(place.at - HOUR)}
    return {
        "number": change.number,
        "kind": "pull",
        "title": change.title,
        "body": change.body,
        "author": change.author,
        "state": "MERGED" if merged else "OPEN",
        "labels": list(change.labels),
        "created": stamp(place.at - 3 * HOUR),
        "updated": merged or stamp(place.at),
        "closed": merged,
        "head": change.head,
        "base": "main",
        "head_sha": place.commits[-1],
        "base_sha": place.base,
        "merge_sha": place.merged,
        "merged": merged,
        "merged_by": ("noor" if change.reviewer == "ada" else "ada") if merged else "",
        "reviews": [review] if merged else [],
    }


def _release(place: Landed) -> Row:
    tag = place.change.tag
    return {
        "tag": tag,
        "name": f"Acme {tag[1:]}",
        "body": f"What is in it: CHANGELOG.md, section {tag[1:]}.",
        "author": "ada",
        "target": "main",
        "draft": 0,
        "prerelease": 0,
        "created": stamp(place.at),
        "published": stamp(place.at),
    }
