"""Looks at a running environment: what it answers about its version and its health."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse_tools import grammar, web
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.settings import Environment

_GOOD = frozenset({"ok", "pass", "passing", "healthy", "up", "green"})


@dataclass(frozen=True, slots=True)
class Answering:
    """What an environment answers about itself; empty texts where it answers nothing, then ``problem`` says why."""

    version: str = ""
    sha: str = ""
    problem: str = ""
    reachable: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """One look at health and version."""

    status: int
    version: str
    sha: str
    ms: int
    problem: str

    def as_json(self) -> dict[str, Json]:
        """For the facts."""
        return {"status": self.status, "version": self.version, "sha": self.sha, "ms": self.ms, "problem": self.problem}


def answering(environment: Environment) -> Answering:
    """Ask an environment for its version.

    Raises:
        ToolFailed: its URL or address is refused; that it does not answer is an answer.
    """
    rules = environment.health
    try:
        answer = web.get(
            web.join(environment.url, rules.version), timeout=rules.timeout, allow_private=rules.allow_private
        )
    except Unreachable as error:
        return Answering(problem=error.message)
    if answer.status != HTTPStatus.OK:
        return Answering(problem=f"{rules.version} answers {answer.status}", reachable=True)
    try:
        said = web.strict_json(answer.body, rules.version)
    except ToolFailed as error:
        return Answering(problem=error.message, reachable=True)
    version, sha = said.get("version"), said.get("sha", "")
    if not isinstance(version, str) or not isinstance(sha, str):
        return Answering(problem=f"{rules.version} names no version", reachable=True)
    if not grammar.is_version(version) or (sha and not grammar.is_sha(sha)):
        return Answering(
            problem=f"{rules.version} answers {one_line(version, 40)!r}, which is no version", reachable=True
        )
    return Answering(version, sha, "", reachable=True)


def look(environment: Environment, version: str, sha: str) -> Look:
    """One look: health must be good and the expected version (and sha, where given) must answer.

    Without a version it is judged by the sha alone, which the environment must tell then.

    Raises:
        ToolFailed: the environment's URL or address is refused.
    """
    rules = environment.health
    try:
        answer = web.get(
            web.join(environment.url, rules.path), timeout=rules.timeout, allow_private=rules.allow_private
        )
    except Unreachable as error:
        return Look(0, "", "", 0, one_line(error.message, 200))
    problem = _health_problem(answer)
    said = answering(environment)
    problem = problem or said.problem
    if not problem and version and said.version != version:
        problem = f"answers version {said.version}, not {version}"
    # A deployment that does not tell its sha is judged by its version alone; one that tells another sha is another.
    if not problem and sha and said.sha and said.sha != sha:
        problem = f"answers commit {said.sha[:12]}, not {sha[:12]}"
    if not problem and not version and not said.sha:
        problem = "does not say which commit it runs"
    return Look(answer.status, said.version, said.sha, answer.ms, one_line(problem, 200))


def _health_problem(answer: web.Answer) -> str:
    """Why a health answer is not good: 200 alone is not enough (I24)."""
    if answer.status != HTTPStatus.OK:
        return f"health answers {answer.status}"
    if answer.body.strip().lower() in {word.encode() for word in _GOOD}:
        return ""
    try:
        said = web.strict_json(answer.body, "health")
    except ToolFailed as error:
        return error.message
    return _status_problem(said, "health")


def _status_problem(said: dict[str, Json], what: str) -> str:
    """A report's own status, and those of its parts under ``checks``, ``components``, ``services`` or ``details``."""
    status = said.get("status")
    if not isinstance(status, str) or status.casefold() not in _GOOD:
        return f"{what} says {one_line(str(status), 40)!r}"
    for group in ("checks", "components", "services", "details"):
        parts = said.get(group)
        for name, part in parts.items() if isinstance(parts, dict) else ():
            problem = _part_problem(part, f"{what}: {one_line(name, 40)}")
            if problem:
                return problem
    return ""


def _part_problem(part: Json, what: str) -> str:
    match part:
        case dict() if "status" in part:
            return _status_problem(part, what)
        case str():
            return "" if part.casefold() in _GOOD else f"{what} says {one_line(part, 40)!r}"
        case bool():
            return "" if part else f"{what} says false"
    return ""
