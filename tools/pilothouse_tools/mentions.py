"""The tickets that commits and pull requests name, by the configured pattern."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pilothouse import settings
from pilothouse_tools.commits import NO_TICKET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pilothouse_tools.pulls import Pull
    from pilothouse_tools.trail import Entry


class Mentions:
    """Who names which ticket.

    Args:
        pattern: of a ticket's key.
        entries: the commits of a range.
        pulls: its pull requests by number.
        by_commit: the numbers of each commit's.
    """

    def __init__(
        self, pattern: str, entries: Iterable[Entry], pulls: Mapping[int, Pull], by_commit: Mapping[str, set[int]]
    ) -> None:
        edges = rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])"
        self._pattern = re.compile(edges)
        self._any_case = re.compile(edges, re.IGNORECASE)
        # The usual pattern fits much that is no ticket: UTF-8 in a text, change-12 in a branch's name.
        self._usual = pattern == settings.Tickets().pattern
        self._commits = {entry.sha: self._named(f"{entry.subject}\n{entry.body}") for entry in entries}
        texts = {number: self._named(f"{pull.title}\n{pull.body}") for number, pull in pulls.items()}
        projects = {_project(key) for keys in (*self._commits.values(), *texts.values()) for key in keys}
        self._pulls = {number: texts[number] | self._branch(pull.branch, projects) for number, pull in pulls.items()}
        for sha, numbers in by_commit.items():
            for number in numbers:
                self._pulls[number] |= self._commits[sha]

    def all(self) -> list[str]:
        """Every key, sorted."""
        return sorted({key for keys in (*self._commits.values(), *self._pulls.values()) for key in keys})

    def of_commit(self, sha: str) -> list[str]:
        """The keys that a commit itself names, sorted."""
        return sorted(self._commits[sha])

    def of_pull(self, number: int) -> list[str]:
        """The keys that a pull request, its branch or its commits name, sorted."""
        return sorted(self._pulls[number])

    def _named(self, text: str) -> set[str]:
        return {key for key in self._pattern.findall(text) if not self._usual or _project(key) not in NO_TICKET}

    def _branch(self, name: str, projects: set[str]) -> set[str]:
        """Branches are often written small: feature/acme-12-x. By the usual pattern only a known project's count."""
        folded = {key.upper() for key in self._any_case.findall(name)}
        return self._named(name) | {key for key in folded if not self._usual or _project(key) in projects}


def _project(key: str) -> str:
    return key.partition("-")[0]
