"""Each act in one plain sentence, from its tool and arguments; the card and the timeline say the same words."""

from __future__ import annotations

import re
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
            return "the revert" if reference[1] == "revert.sha" else f"<{reference[1]}>"
        text = safe(str(value), 80)
        return short(text) if len(text) in (40, 64) and text.isalnum() else text

    form = _SENTENCES.get(tool)
    if form is None:
        return f"{tool} {', '.join(f'{key} {said(key)}' for key in sorted(arguments))}"
    names = arguments.get("names")
    listed = ", ".join(safe(str(name), 40) for name in names) if isinstance(names, list) else said("names")
    keys = arguments.get("keys")
    tickets = count(len(keys), "ticket") if isinstance(keys, list) else "each ticket"
    return re.sub(r"<(\w+)>", lambda found: {"names": listed, "tickets": tickets}.get(found[1]) or said(found[1]), form)


# <name> stands for what the argument of that name is worth.
_SENTENCES: Mapping[str, str] = {
    "backup.create": "back up the database of <environment>",
    "backup.restore": "restore the database of <environment> from the release's backup",
    "migrate.apply": "apply to <environment>: <names>",
    "deploy.apply": "deploy <version> (<commit>) to <environment>",
    "git.release_branch": "push branch <branch>",
    "git.merge": "merge <branch> into <into>",
    "git.tag": "tag <tag> on <commit>",
    "git.delete_branch": "delete branch <branch> once it is merged",
    "git.promote": "move <into> forward to <commit>",
    "git.revert": "revert <bad> to <good> on <branch>",
    "forge.release": "publish the release <tag> with its notes",
    "forge.issue": "open an issue for the cause",
    "forge.pull_request": "open a pull request from <head> to <base>",
    "tickets.comment": "comment once on <tickets>",
    "record.write": "write the <kind> record",
    "notify.send": "tell people: <event>",
}


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
