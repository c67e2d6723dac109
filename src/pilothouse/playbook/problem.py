"""What is wrong, or worth a word, in a file of the playbook."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse.errors import InvalidFile

ERROR = "error"
NOTE = "note"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding: its line (1-based), what is wrong, what to do, and whether it is an ``error`` or a ``note``."""

    line: int
    message: str
    hint: str = ""
    severity: str = ERROR


def problem_of(error: InvalidFile) -> Problem:
    """A file that does not parse, as one problem of it."""
    place = f"{error.path}:{error.line}" if error.line else error.path
    return Problem(error.line, error.message.removeprefix(f"{place}: "), error.hint)


def errors(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Only those because of which the file is refused."""
    return tuple(problem for problem in problems if problem.severity == ERROR)


def refuse(path: str, problems: Iterable[Problem]) -> None:
    """Nothing where no problem is an error.

    Raises:
        InvalidFile: of the first error, with all others listed in its message.
    """
    found = errors(problems)
    if found:
        first, *others = found
        listed = "".join(f"\n{path}:{problem.line}: {problem.message}" for problem in others)
        raise InvalidFile(path, first.line, first.message + listed, first.hint)
