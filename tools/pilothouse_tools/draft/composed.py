"""What an agent may compose for a draft: its form as a JSON Schema, and what of it may be shown.

The words are an agent's; what they name, and what may not be missing, is code's (AGT-5). Breaking changes, timelines,
titles and references stay as code has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pilothouse_tools.draft import prose

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.draft.prose import Evidence

_HIGHLIGHTS, _TITLE, _SUMMARY, _AREAS = 600, 60, 300, 20
_PARAGRAPH, _ACTION, _MANY = 1200, 300, 20
_PARTS = {  # texts, and the list of points
    "postmortem.render": (("summary", "impact", "cause", "detection"), "actions"),
    "issue.render": (("summary",), "steps"),
}
# Headings that stand for what code lists: an agent's area must not pass for one.
_CODES = re.compile(r"breaking|migrat|upgrad|dependenc|changelog|contribut|approv", re.IGNORECASE)
_DENIES = re.compile(
    r"\b(?:no|not any|without(?: any)?|zero) (?:\w+ ){0,2}(?:breaking|incompatible)|\b(?:free of|0) breaking"
    r"|(?:\bnot|\bnever|\bcannot|n't) (?:\w+ ){0,3}br(?:eak|oke)|\bnothing (?:\w+ ){0,2}(?:br(?:eak|oke)|changes\b)"
    r"|\bnon-?breaking\b|\bbreaking changes?:? none\b|(?<!not )(?<!longer )\bcompatible\b"
    r"|\b(?:backwards?|forwards?|full|complete)[- ]compatibility\b|\bdrop-in\b"
    r"|\bno (?:\w+ )?(?:migrations?|action)\b|\bwithout (?:\w+ )?migrat|\bmigrations? (?:is|are) not (?:need|requir)"
    r"|\bsafe(?:ly)? (?:to )?(?:upgrad|updat|migrat)|\b(?:upgrad|updat)\w* (?:\w+ ){0,2}safe(?:ly)?\b"
    r"|\b(?:existing|old|current|your) \w+ (?:will )?(?:still|go(?:es)? on|continues?(?: to)?|keeps?(?: on)?) work",
    re.IGNORECASE,
)


def _object(**properties: Json) -> dict[str, Json]:
    needed: list[Json] = [*properties]
    return {"type": "object", "properties": dict(properties), "required": needed, "additionalProperties": False}


def _text(about: str) -> Json:
    return {"type": "string", "description": about}


def _list(about: str, items: Json) -> Json:
    return {"type": "array", "description": about, "items": items}


_RULES = "Plain sentences: no links, no markup, no number or reference that the evidence does not hold."
SCHEMAS: Mapping[str, Json] = {
    "notes.render": _object(
        highlights=_text(f"What users can do now, one to three sentences, at most {_HIGHLIGHTS} characters. {_RULES}"),
        areas=_list(
            f"The changes by area of the product, at most {_AREAS}; breaking changes are listed by code.",
            _object(
                title=_text(f"The area in a user's words, at most {_TITLE} characters, each only once."),
                entries=_list(
                    "The changes of this area.",
                    _object(
                        summary=_text(f"The effect for users in one line, at most {_SUMMARY} characters. {_RULES}"),
                        reference=_text("The entry's reference, exactly as the draft has it (#12); each only once."),
                    ),
                ),
            ),
        ),
    ),
    "postmortem.render": _object(
        summary=_text(f"What happened, at most {_PARAGRAPH} characters. {_RULES}"),
        impact=_text(f"What users suffered, in numbers of the evidence, at most {_PARAGRAPH} characters."),
        cause=_text(f"The cause as far as evidence tells it, at most {_PARAGRAPH} characters."),
        detection=_text(f"How it was noticed, and what would have earlier, at most {_PARAGRAPH} characters."),
        actions=_list(
            f"What would keep it from happening again, at most {_MANY}.",
            _text(f"One sentence, at most {_ACTION} characters."),
        ),
    ),
    "issue.render": _object(
        summary=_text(f"What is broken and how it shows, at most {_PARAGRAPH} characters. {_RULES}"),
        steps=_list(
            f"What to look at or to do, in order, at most {_MANY}.",
            _text(f"One sentence, at most {_ACTION} characters."),
        ),
    ),
}  # fmt: skip
"""By draft tool, the form of what an agent may compose. Lengths are checked here, not by whoever generates."""


def notes(value: Json, known: Evidence, references: frozenset[str], *, breaking: bool) -> dict[str, Json]:
    """Highlights and areas of release notes.

    Args:
        value: as the agent gave it.
        known: what its words may name.
        references: those that the template would show.
        breaking: whether the release has breaking changes, which no word may deny.

    Returns:
        ``{highlights, areas: [{title, entries: [{summary, reference}]}]}``, each text one checked line.

    Raises:
        ToolFailed: ``draft-refused``.
    """
    said = _record(value, ("highlights", "areas"), "the notes")
    highlights = _undenied(prose.checked(_str(said, "highlights"), "highlights", _HIGHLIGHTS, known), breaking=breaking)
    taken: set[str] = set()
    titles: set[str] = set()
    areas: list[Json] = []
    for number, item in enumerate(_items(said, "areas", _AREAS), 1):
        area = _record(item, ("title", "entries"), f"area {number}")
        title = prose.checked(_str(area, "title"), f"the title of area {number}", _TITLE, known)
        if _CODES.search(title) or title.casefold() in titles:
            raise prose.refused(f"the title of area {number}", "it stands for what code lists, or stands twice")
        titles.add(title.casefold())
        entries = [
            _entry(entry, known, references, taken, breaking=breaking)
            for entry in _items(area, "entries", len(references))
        ]
        if not entries:
            raise prose.refused(f"area {number}", "it has no entry")
        areas.append({"title": title, "entries": [*entries]})
    return {"highlights": highlights, "areas": areas}


def _entry(
    value: Json, known: Evidence, references: frozenset[str], taken: set[str], *, breaking: bool
) -> dict[str, Json]:
    entry = _record(value, ("summary", "reference"), "an entry")
    reference = _str(entry, "reference")
    if reference not in references:
        raise prose.refused("an entry", f"{reference[:40]!r} is no reference of this release")
    if reference in taken:
        raise prose.refused("an entry", f"{reference} stands twice")
    taken.add(reference)
    summary = prose.checked(_str(entry, "summary"), f"the entry of {reference}", _SUMMARY, known)
    return {"summary": _undenied(summary, breaking=breaking), "reference": reference}


def _undenied(line: str, *, breaking: bool) -> str:
    if breaking and (found := _DENIES.search(prose.as_seen(line))):
        raise prose.refused("the notes", f"this release has breaking changes, and they say {found.group()[:40]!r}")
    return line


def paragraphs(tool: str, value: Json, known: Evidence) -> dict[str, Json]:
    """The parts of a post-mortem or an issue: texts of one checked line, and lists of such.

    Raises:
        ToolFailed: ``draft-refused``.
    """
    texts, points = _PARTS[tool]
    said = _record(value, (*texts, points), "the draft")
    made: dict[str, Json] = {
        name: prose.checked(_str(said, name), name, _PARAGRAPH, known) for name in texts
    }  # fmt: skip
    made[points] = [
        prose.checked(_string(item, points), f"{points} {number}", _ACTION, known)
        for number, item in enumerate(_items(said, points, _MANY), 1)
    ]
    return made


def _record(value: Json, keys: tuple[str, ...], where: str) -> dict[str, Json]:
    if not isinstance(value, dict) or set(value) != set(keys):
        raise prose.refused(where, f"it must have {', '.join(keys)}, and nothing else")
    return value


def _items(record: dict[str, Json], name: str, most: int) -> list[Json]:
    value = record[name]
    if not isinstance(value, list) or len(value) > most:
        raise prose.refused(name, f"it must be a list of at most {most}")
    return value


def _str(record: dict[str, Json], name: str) -> str:
    return _string(record[name], name)


def _string(value: Json, name: str) -> str:
    if not isinstance(value, str):
        raise prose.refused(name, "it is no text")
    return value
