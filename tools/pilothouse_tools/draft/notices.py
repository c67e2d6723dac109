"""Short texts for people: a notice, an issue, a post-mortem, the final report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.model import Argument, Observation
from pilothouse_tools import templates, text
from pilothouse_tools.door import Arguments, Look, Watcher, drafts
from pilothouse_tools.draft import composed, prose

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_COMPOSED = Argument("object", required=False, text_body=True, about="what an agent composed (composed.py)")
_EVENT = {
    "version": Argument("text", required=False),
    "previous": Argument("text", required=False),
    "why": Argument("text", required=False, text_body=True, about="what happened"),
    "severity": Argument("text", required=False, about="critical, high, medium or low"),
    "url": Argument("text", required=False, about="where to read on"),
    "live": Argument("text", required=False, about="the environment's address"),
    "facts": Argument("object", required=False, about="names and values to be listed"),
}


def _values(context: Context, arguments: Arguments) -> dict[str, Json]:
    """What every one of these templates sees; what is absent is empty."""
    facts = arguments.record("facts")
    listed: list[Json] = [{"name": name, "value": _plain(value)} for name, value in facts.items()]
    names = ("version", "previous", "severity", "why", "url", "live")
    values: dict[str, Json] = {name: arguments.text(name) for name in names}
    return {
        **values, "facts": listed, "product": context.product.name, "title": context.product.title,
        "run": context.run_id, "started_at": context.started_at,
    }  # fmt: skip


def _plain(value: Json) -> str:
    match value:
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(_plain, value))
        case None:
            return "none"
    return str(value)


def _notice(context: Context, arguments: Arguments) -> Observation:
    values = {**_values(context, arguments), "event": arguments.text("event")}
    body = templates.render(context.templates, "notice.txt.j2", values).strip()
    headline = text.one_line(body.partition("\n")[0], 200)
    return Observation({"text": body, "headline": headline}, "", headline)


def _issue(context: Context, arguments: Arguments) -> Observation:
    values = {**_values(context, arguments), "postmortem": text.visible(arguments.text("postmortem"))}
    title = text.one_line(f"{context.product.title} {values['version']}: {values['why'] or 'needs a fix'}", 200)
    facts = _told(context, "issue.render", "issue.md.j2", values, arguments)
    return Observation({"title": title, **facts}, "", title)


def _told(
    context: Context, tool: str, template: str, values: dict[str, Json], arguments: Arguments
) -> dict[str, Json]:  # fmt: skip
    """The text of a draft; where an agent composed words for it that may stand, with them."""
    plain = templates.render(context.templates, template, {**values, "composed": None})
    said = arguments.value("composed")
    if said is None:
        return {"text": plain}
    words = composed.paragraphs(tool, said, prose.evidence(values))
    body = templates.render(context.templates, template, {**values, "composed": words})
    # A project's own template may show nothing of what was composed.
    return {"text": body, "composed": True} if body != plain else {"text": plain}


def _postmortem(context: Context, arguments: Arguments) -> Observation:
    timeline = arguments.value("timeline")
    entries: list[Json] = [
        f"{_plain(item.get('at', ''))} {_plain(item.get('text', ''))}" if isinstance(item, dict) else _plain(item)
        for item in (timeline if isinstance(timeline, list) else [])
    ]
    values = {**_values(context, arguments), "timeline": entries}
    facts = _told(context, "postmortem.render", "postmortem.md.j2", values, arguments)
    return Observation(facts, "", "post-mortem drafted")


def _report(context: Context, arguments: Arguments) -> Observation:
    lists: list[Json] = []
    for title, items in arguments.record("checklists").items():
        ticks: list[Json] = [
            {
                "done": item.get("done") is True,
                "text": _plain(item.get("text", "")),
                "evidence": _plain(item.get("evidence", "")),
            }
            for item in (items if isinstance(items, list) else [])
            if isinstance(item, dict)
        ]
        lists.append({"title": title, "items": ticks})
    values = {
        **_values(context, arguments),
        "notes_url": arguments.text("notes_url"),
        "monitoring": arguments.text("monitoring"),
        "checklists": lists,
    }
    body = templates.render(context.templates, "report.txt.j2", values)
    return Observation({"text": body}, "", text.one_line(body))


def _comment(context: Context, arguments: Arguments) -> Observation:
    release, sha = arguments.text("release"), arguments.text("sha")
    values = {**_values(context, arguments), "release": release, "sha": sha[:12]}
    body = templates.render(context.templates, "comment.md.j2", values).strip()
    return Observation({"text": body}, "", "what each ticket is told")


def _tool(name: str, about: str, more: dict[str, Argument], results: dict[str, str], look: Look) -> Watcher:
    return drafts(name, about, {**more, **_EVENT}, results, look)


TOOLS = (
    _tool(
        "notice.render",
        "A short notice of an event.",
        {"event": Argument("text")},
        {"text": "text", "headline": "text"},
        _notice,
    ),
    _tool(
        "comment.render",
        "What a ticket is told once production runs it.",
        {"release": Argument("text"), "sha": Argument("sha")},
        {"text": "text"},
        _comment,
    ),
    _tool(
        "issue.render",
        "The issue that a rollback opens.",
        {"postmortem": Argument("text", required=False, text_body=True), "composed": _COMPOSED},
        {"title": "text", "text": "text"},
        _issue,
    ),
    _tool(
        "postmortem.render",
        "The draft of a post-mortem, from the ledger's timeline.",
        {"timeline": Argument("object", required=False, about="list of lines"), "composed": _COMPOSED},
        {"text": "text"},
        _postmortem,
    ),
    _tool(
        "report.render",
        "The final report, with the checklists and the evidence of each tick.",
        {
            "notes_url": Argument("text", required=False),
            "monitoring": Argument("text", required=False),
            "checklists": Argument("object", required=False, about="title to list of {done, text, evidence}"),
        },
        {"text": "text"},
        _report,
    ),
)
