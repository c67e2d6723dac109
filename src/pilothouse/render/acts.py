"""Each act in one plain sentence, from its tool and arguments; the card and the timeline say the same words."""

from __future__ import annotations

from collections.abc import Mapping

from pilothouse.canonical import Json
from pilothouse.guard.references import form_of
from pilothouse.render.text import count, safe, short


def sentence(tool: str, arguments: Mapping[str, Json]) -> str:
    """What an act does, as the approver reads it."""

    def said(name: str) -> str:
        value = arguments.get(name)
        reference = form_of(value)
        if reference is not None:
            return f"<{reference[1]}>"
        text = safe(str(value), 80)
        return short(text) if len(text) in (40, 64) and text.isalnum() else text

    names = arguments.get("names")
    listed = ", ".join(safe(str(name), 40) for name in names) if isinstance(names, list) else said("names")
    match tool:
        case "backup.create":
            return f"back up the database of {said('environment')}"
        case "backup.restore":
            return f"restore the database of {said('environment')} from the release's backup"
        case "migrate.apply":
            return f"apply to {said('environment')}: {listed}"
        case "deploy.apply":
            return f"deploy {said('version')} ({said('commit')}) to {said('environment')}"
        case "git.release_branch":
            return f"push branch {said('branch')}"
        case "git.merge":
            return f"merge {said('branch')} into {said('into')}"
        case "git.tag":
            return f"tag {said('tag')} on {said('commit')}"
        case "git.delete_branch":
            return f"delete branch {said('branch')} once it is merged"
        case "forge.release":
            return f"publish the release {said('tag')} with its notes"
        case "forge.issue":
            return "open an issue for the cause"
        case "forge.pull_request":
            return f"open a pull request from {said('head')} to {said('base')}"
        case "notify.send":
            return f"tell people: {said('event')}"
        case _:
            return f"{tool} {', '.join(f'{key} {said(key)}' for key in sorted(arguments))}"


def migrations_line(facts: Mapping[str, Json]) -> str:
    """The pending migrations and how each is undone, in one line."""
    pending = facts.get("pending")
    items = [item for item in pending if isinstance(item, dict)] if isinstance(pending, list) else []
    if not items:
        return "no migration"
    words = {
        "code": "safe to undo by code alone", "restore": "undone by restoring the backup",
        "forward-only": "cannot be undone",
    }  # fmt: skip
    told = ", ".join(f"{safe(str(i.get('name')), 40)} ({words.get(str(i.get('undo')), 'undo unknown')})" for i in items)
    loud = [safe(str(item.get("name")), 40) for item in items if item.get("destructive") is True]
    return f"{count(len(items), 'migration')}: {told}" + (f"; DESTRUCTIVE: {', '.join(loud)}" if loud else "")


def number(facts: Mapping[str, Json], name: str) -> int:
    """An integer fact, 0 where there is none."""
    value = facts.get(name)
    return value if isinstance(value, int) else 0


def listing(facts: Mapping[str, Json], name: str) -> list[dict[str, Json]]:
    """A list fact's objects."""
    value = facts.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
