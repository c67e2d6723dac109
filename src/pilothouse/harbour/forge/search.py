"""GitHub's search language, as far as gh writes it for issues and pull requests."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pilothouse.harbour.forge.people import NAME, OWNER
from pilothouse.harbour.forge.schema import Refused

if TYPE_CHECKING:
    from pilothouse.harbour.forge.store import Row

WORD = re.compile(r'-?(?:\w+:)?(?:"[^"]*"|[^\s()"]+)')
FIELDS = {"title", "body"}


@dataclass(frozen=True, slots=True)
class Term:
    """One condition; `name` is empty for a word to be found."""

    name: str
    values: tuple[str, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Search:
    """A query that was read; all of its terms must hold."""

    terms: tuple[Term, ...]
    fields: frozenset[str]

    @classmethod
    def read(cls, text: str) -> Search:
        """Reads a query.

        Raises:
            Refused: it holds something that the sandbox does not know; a guess could find too much or too little.
        """
        terms, fields = [], set[str]()
        for word in WORD.findall(text):
            if word in {"OR", "NOT"}:
                raise Refused(f"the sandbox's search does not know {word}")
            name, colon, value = word.removeprefix("-").partition(":")
            if not colon or word.removeprefix("-").startswith('"'):
                terms.append(Term("", (word.strip('-"').lower(),), word.startswith("-")))
            elif name == "in":
                fields |= set(value.split(",")) & FIELDS
            elif name == "sort":
                if value != "created-desc":
                    raise Refused(f"the sandbox's search does not sort by {value}")
            else:
                values = tuple(part.strip('"').lower() for part in re.findall(r'"[^"]*"|[^,]+', value))
                terms.append(Term(name, values, word.startswith("-")))
        return cls(tuple(terms), frozenset(fields or FIELDS))

    @staticmethod
    def labels(row: Row) -> list[str]:
        """The names of a thread's labels."""
        return list(json.loads(row["labels"]))

    def finds(self, row: Row) -> bool:
        """Whether an issue or a pull request is what is looked for."""
        return all(self._holds(term, row) is not term.negated for term in self.terms)

    def _holds(self, term: Term, row: Row) -> bool:
        found = set(term.values)
        match term.name:
            case "":
                return any(term.values[0] in row[field].lower() for field in self.fields)
            case "repo":
                return f"{OWNER}/{NAME}" in found
            case "type" | "is" if found <= {"issue", "pr", "pull-request"}:
                return bool({"pull": {"pr", "pull-request"}, "issue": {"issue"}}[row["kind"]] & found)
            case "state" | "is" if found <= {"open", "closed", "merged", "unmerged"}:
                state = row["state"].lower()
                names = (
                    {state}
                    | ({"closed"} if state == "merged" else set())
                    | (set() if state == "merged" else {"unmerged"})
                )
                return bool(names & found)
            case "label":
                return bool(found & {label.lower() for label in self.labels(row)})
            case "base" | "head" | "author":
                return row[term.name].lower() in found
            case "draft":
                return ("true" in found) == bool(row["draft"])
        raise Refused(f"the sandbox's search does not know {term.name}:{','.join(term.values)}")
