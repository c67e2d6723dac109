"""Release notes: every number and every entry comes from evidence, every foreign word is escaped.

Where a person left notes for the version, theirs are taken, and the evidence says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools import grammar, templates, text
from pilothouse_tools.door import Arguments, drafts
from pilothouse_tools.draft import composed, edited, prose

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_LISTS = ("features", "improvements", "fixes", "breaking", "dependencies")


def _records(value: Json, what: str) -> list[dict[str, Json]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ToolFailed("bad-argument", f"notes.render: {what} must be a list of objects")
    return [item for item in value if isinstance(item, dict)]


def _word(entry: dict[str, Json], name: str) -> str:
    value = entry.get(name, "")
    return value if isinstance(value, str) else ""


def _number(entry: dict[str, Json], name: str = "number") -> int:
    value = entry.get(name, 0)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _reference(entry: dict[str, Json]) -> str:
    """How an entry is found: its pull request's number, else its commit."""
    number, sha = _number(entry), _word(entry, "sha")
    return f"#{number}" if number else sha[:12]


def view(contents: dict[str, Json], pulls: dict[str, Json]) -> dict[str, Json]:
    """What the template sees of a release's contents.

    Args:
        contents: what git.contents answered.
        pulls: what forge.pulls answered, or empty.
    """
    lists = {name: _records(contents.get(name, []), f"contents.{name}") for name in _LISTS}
    shown: dict[str, Json] = {
        name: [
            {"summary": _word(entry, "summary"), "scope": _word(entry, "scope"), "reference": _reference(entry)}
            for entry in lists[name]
        ]
        for name in ("features", "improvements", "fixes")
    }
    shown["breaking"] = [
        {"summary": _word(entry, "summary"), "migration": _word(entry, "migration"), "reference": _reference(entry)}
        for entry in lists["breaking"]
    ]
    shown["dependencies"] = [
        {
            "name": _word(entry, "name"),
            "old": _word(entry, "old"),
            "new": _word(entry, "new"),
            "reference": _reference(entry),
        }
        for entry in lists["dependencies"]
    ]
    logins = {_word(pull, "author") for pull in _records(pulls.get("pulls", []), "pulls.pulls")}
    authors = contents.get("authors", [])
    names = {name for name in authors if isinstance(name, str)} if isinstance(authors, list) else set()
    # Commits name people, the forge names accounts; both lists together would name everybody twice.
    shown["contributors"] = [*(sorted(names) or sorted(login for login in logins if login))]
    return {
        **shown,
        **{
            name: _number(contents, name)
            for name in ("commits", "files", "insertions", "deletions", "other", "omitted")
        },
    }


def headline(contents: dict[str, Json]) -> str:
    """One line for users: the first features by name, the rest by number."""
    features = _records(contents.get("features", []), "contents.features")
    parts = [text.one_line(_word(entry, "summary"), 80) for entry in features[:2]]
    rest = len(features) - len(parts)
    counts = [
        (rest, "more feature", "more features"),
        *(
            (len(_records(contents.get(name, []), f"contents.{name}")), word, words)
            for name, word, words in (
                ("fixes", "fix", "fixes"),
                ("improvements", "improvement", "improvements"),
                ("dependencies", "dependency update", "dependency updates"),
                ("breaking", "breaking change", "breaking changes"),
            )
        ),
    ]
    parts += [f"{number} {word if number == 1 else words}" for number, word, words in counts if number]
    line = "; ".join(parts) or "maintenance only"
    return line[0].upper() + line[1:]


def _render(context: Context, arguments: Arguments) -> Observation:
    version, date, contents = arguments.text("version"), arguments.text("date"), arguments.record("contents")
    if not grammar.DATE.fullmatch(date):
        raise ToolFailed("bad-argument", "notes.render argument 'date' is no YYYY-MM-DD")
    line = headline(contents)
    own = edited.find(context, version, arguments.text("sha"))
    if own is not None:
        facts: dict[str, Json] = {"text": own.text, "headline": line, "source": "file", "file": own.file,
                                  "file_sha256": own.sha256}  # fmt: skip
        return Observation(facts, "", f"{line} (notes by a person: {own.file})")
    values: dict[str, Json] = {
        **view(contents, arguments.record("pulls")), "title": context.product.title, "version": version,
        "previous": arguments.text("previous"), "date": date, "headline": line,
        "section": text.visible(arguments.text("section")),
    }  # fmt: skip
    body = templates.render(context.templates, "notes.md.j2", {**values, "composed": None})
    drafted: dict[str, Json] = {"text": body, "headline": line, "source": "template", "file": "", "file_sha256": ""}
    said = arguments.value("composed")
    if said is None:
        return Observation(drafted, "", line)
    words = _composed(said, values, arguments)
    text_of_both = templates.render(context.templates, "notes.md.j2", {**values, "composed": words})
    # A project's own template may show nothing of what was composed.
    own_words: dict[str, Json] = {"text": text_of_both, "composed": True} if text_of_both != body else {}
    return Observation({**drafted, **own_words}, "", line)


def _composed(said: Json, values: dict[str, Json], arguments: Arguments) -> dict[str, Json]:
    """What an agent composed, checked; with the template's entries that it left out, which stay as they are."""
    contents, pulls = arguments.record("contents"), arguments.record("pulls")
    lists = {name: _records(values[name], name) for name in _LISTS}
    shown = frozenset(_word(entry, "reference") for entries in lists.values() for entry in entries) - {""}
    listed = [entry for name in _LISTS for entry in _records(contents.get(name, []), f"contents.{name}")]
    numbers = [*map(_number, listed), *map(_number, _records(pulls.get("pulls", []), "pulls.pulls"))]
    merged = contents.get("pulls", [])
    numbers += [number for number in merged if type(number) is int] if isinstance(merged, list) else []
    tickets = contents.get("tickets", [])
    # Names of people are theirs to choose: no word may be led back to them.
    said_of_it = {name: value for name, value in values.items() if name != "contributors"}
    titles: list[Json] = [_word(pull, "title") for pull in _records(pulls.get("pulls", []), "pulls.pulls")]
    shas: list[Json] = [_word(entry, "sha") for entry in listed]
    known = prose.evidence(
        said_of_it, titles, shas,
        references=[number for number in numbers if number],
        keys=[key for key in tickets if isinstance(key, str)] if isinstance(tickets, list) else (),
        counts=map(len, lists.values()),
    )  # fmt: skip
    made = composed.notes(said, known, shown, breaking=bool(lists["breaking"]))
    taken = {
        _word(entry, "reference")
        for area in _records(made["areas"], "areas") for entry in _records(area["entries"], "entries")
    }  # fmt: skip
    return made | {name: _left_out(lists[name], taken) for name in ("features", "improvements", "fixes")}


def _left_out(entries: list[dict[str, Json]], taken: set[str]) -> list[Json]:
    """The entries that nobody composed. Commits of one pull request share its reference: one naming takes but one."""
    left: list[Json] = []
    for entry in entries:
        reference = _word(entry, "reference")
        if reference in taken:
            taken.remove(reference)
        else:
            left.append(entry)
    return left


TOOLS = (
    drafts(
        "notes.render",
        "Release notes from the contents of the release, or those that a person left for the version.",
        {
            "version": Argument("version"), "previous": Argument("version"),
            "date": Argument("text", about="YYYY-MM-DD"),
            "contents": Argument("object", about="what git.contents answered"),
            "pulls": Argument("object", required=False, about="what forge.pulls answered"),
            "section": Argument("text", required=False, text_body=True, about="the version's part of the changelog"),
            "sha": Argument("sha", required=False, about="the commit that is released"),
            "composed": Argument("object", required=False, text_body=True, about="what an agent composed"),
        },
        {"text": "text", "headline": "text", "source": "text", "file": "text", "file_sha256": "text"},
        _render,
    ),
)  # fmt: skip
