"""What a tool's result says in a few words, and how telling that is: a timeline shows the most telling first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pilothouse.canonical import Json
from pilothouse.render.acts import number
from pilothouse.render.text import count, safe, short


class Brief(NamedTuple):
    """A few words; a smaller ``rank`` is shown before a larger one, and ``HIDDEN`` only where nothing else is said."""

    rank: int
    text: str


FIRST, NEXT, LATER, HIDDEN = 0, 1, 2, 9


def brief(tool: str, facts: Mapping[str, Json], arguments: Mapping[str, Json], summary: str) -> Brief:
    """A result in few words; a tool that is not known here speaks by its own summary.

    Args:
        tool: its name.
        facts: what it found or did.
        arguments: with what it was called (an act's; an observation's where they are known).
        summary: its own line.
    """
    noun, _, verb = tool.partition(".")
    match noun:
        case "forge":
            return _forge(verb, facts, summary)
        case "git":
            return _git(verb, facts, arguments, summary)
        case "deploy" | "migrate" | "migrations" | "backup":
            return _environment(tool, facts, summary)
        case "changelog" | "version" | "notes" | "notice" | "issue" | "postmortem":
            return _text(tool, facts, summary)
        case _:
            return _look(tool, facts, summary)


def _items(facts: Mapping[str, Json], name: str) -> list[Json]:
    value = facts.get(name)
    return value if isinstance(value, list) else []


def _said(facts: Mapping[str, Json], name: str) -> str:
    return safe(str(facts.get(name) or ""), 60)


def _forge(verb: str, facts: Mapping[str, Json], summary: str) -> Brief:
    match verb:
        case "ci":
            return Brief(FIRST, safe(summary, 60))
        case "open_pulls":
            waiting = len(_items(facts, "pulls"))
            return Brief(LATER, f"{waiting} still to merge") if waiting else Brief(HIDDEN, "nothing left to merge")
        case "issues":
            return Brief(NEXT, count(len(_items(facts, "issues")), "blocking bug"))
        case "pulls":
            return Brief(HIDDEN, count(len(_items(facts, "pulls")), "PR"))
        case "release":
            return Brief(NEXT, "release published")
        case "issue":
            told = number(facts, "number")
            return Brief(FIRST, f"issue #{told}" if told else "issue opened")
        case "pull_request":
            told = number(facts, "number")
            return Brief(FIRST, f"pull request #{told}" if told else "pull request opened")
        case _:
            return Brief(NEXT, safe(summary, 80))


def _git(verb: str, facts: Mapping[str, Json], arguments: Mapping[str, Json], summary: str) -> Brief:
    match verb:
        case "contents":
            return Brief(NEXT, f"{count(len(_items(facts, 'pulls')), 'PR')} merged")
        case "release_branch":
            told = f"{_said(facts, 'branch')} @ {short(_said(facts, 'sha'))}"
            return Brief(FIRST, told if facts.get("branch") else safe(summary, 80))
        case "merge":
            return Brief(FIRST, f"merged into {safe(str(arguments.get('into', 'the base')), 40)}")
        case "tag":
            return Brief(FIRST, f"tag {_said(facts, 'tag')}")
        case "delete_branch":
            return Brief(LATER, "branch deleted")
        case _:
            return Brief(NEXT, safe(summary, 80))


def _environment(tool: str, facts: Mapping[str, Json], summary: str) -> Brief:
    match tool:
        case "deploy.apply":
            return Brief(FIRST, f"deployed {_said(facts, 'version')}")
        case "deploy.current":
            return Brief(LATER, f"{_said(facts, 'version')} is live" if facts.get("version") else safe(summary, 60))
        case "migrate.apply":
            names = [safe(str(name), 40).split("_")[0] for name in _items(facts, "applied")]
            return Brief(NEXT, f"migrated {', '.join(names)}" if names else "migrated")
        case "migrations.pending":
            return Brief(LATER, count(len(_items(facts, "pending")), "migration"))
        case "backup.create":
            return Brief(NEXT, "backed up")
        case "backup.restore":
            return Brief(FIRST, "database restored")
        case "backup.compare":
            return Brief(LATER, "no write lost" if facts.get("lossless") is True else safe(summary, 60))
        case _:
            return Brief(NEXT, safe(summary, 80))


def _text(tool: str, facts: Mapping[str, Json], summary: str) -> Brief:
    match tool:
        case "changelog.unreleased":
            entries = number(facts, "entries")
            return Brief(NEXT, "changelog ok" if entries else "changelog empty")
        case "changelog.finalise":
            return Brief(NEXT, "changelog")
        case "version.decide":
            return Brief(FIRST, " · ".join(filter(None, [_said(facts, "version"), *_said(facts, "why").split(", ")])))
        case "notes.render":
            return Brief(LATER, "notes")
        case "postmortem.render":
            return Brief(LATER, "post-mortem draft")
        case _:
            return Brief(HIDDEN, safe(summary, 80))


def _look(tool: str, facts: Mapping[str, Json], summary: str) -> Brief:
    match tool:
        case "tests.run":
            name, total = _said(facts, "suite"), number(facts, "total")
            if facts.get("passed") is True and total:
                return Brief(NEXT, f"{name} {total}/{total}")
            return Brief(FIRST, safe(summary, 80))
        case "health.check":
            fine = facts.get("healthy") is True
            told = f"healthy {number(facts, 'in_a_row')} of {number(facts, 'needed') or number(facts, 'in_a_row')}"
            return Brief(NEXT, told if fine else "not healthy")
        case "logs.scan":
            hits = len(_items(facts, "hits"))
            return Brief(NEXT, count(hits, "log line") + " to look at" if hits else "logs clean")
        case "settings.drift":
            keys = len(_items(facts, "differences"))
            return Brief(NEXT, count(keys, "setting") + " drifted" if keys else "no drift")
        case "credentials.present":
            return Brief(HIDDEN, safe(summary, 60))
        case "metrics.sample":
            return Brief(HIDDEN, safe(summary, 60))
        case "notify.send":
            return Brief(FIRST, "people told")
        case _:
            return Brief(NEXT, safe(summary, 80))
