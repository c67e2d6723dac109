"""Acts on the forge: a release of a tag, an issue, a pull request; each is looked for before it is made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, EffectClass, Permit, Presence, Probe, Reach
from pilothouse_tools import forge
from pilothouse_tools.door import Actor, Arguments, acts, no_pins
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_BODY = 60_000  # the forge takes 65536 characters
# The forge's clock may be behind the conductor's: what this run opened may seem to be older than the run.
_SKEW = timedelta(hours=1)


def _title(arguments: Arguments) -> str:
    return one_line(arguments.text("title"), 250)


def _body(context: Context, arguments: Arguments, name: str, mark: str = "") -> str:
    """A text body without held secrets, bounded; the mark always fits."""
    body = context.redact(arguments.text(name))
    cut = body if len(body) <= _BODY else f"{body[:_BODY]}\n\n[{len(body) - _BODY} characters left out]"
    return f"{cut}\n\n{mark}" if mark else cut


# -- release ----------------------------------------------------------------------------------------------------------


def _probe_release(context: Context, arguments: Arguments, _key: str) -> Probe:
    tag = arguments.text("tag")
    try:
        found = forge.get(context, forge.path(context, "releases", "tags", tag))
    except ToolFailed as error:
        if error.reason_code != "forge-not-found":
            raise
        forge.get(context, forge.path(context))  # the repository itself must be there: else "not found" says nothing
        return Probe(Presence.ABSENT, f"{tag} has no release")
    if not isinstance(found, dict):
        return Probe(Presence.UNKNOWN, "the forge did not answer a release")
    if forge.word(found, "tag_name") == tag and forge.word(found, "name") == _title(arguments):
        return Probe(Presence.APPLIED, f"the release of {tag} is there", {"url": forge.word(found, "html_url")})
    return Probe(
        Presence.CONFLICT, f"{tag} has a release of another title: {one_line(forge.word(found, 'name'), 80)!r}"
    )


def _apply_release(context: Context, arguments: Arguments, _permit: Permit) -> None:
    tag = arguments.text("tag")
    # The forge would make a missing tag by itself, at the head of the default branch.
    if not context.repo.heads(f"refs/tags/{tag}"):
        raise ToolFailed("tag-missing", f"the tag {tag} is not on the remote", "Publish the tag first.")
    body: dict[str, Json] = {
        "tag_name": tag,
        "name": _title(arguments),
        "body": _body(context, arguments, "notes"),
        "draft": False,
    }
    forge.post(context, forge.path(context, "releases"), body)


# -- issue ------------------------------------------------------------------------------------------------------------


def _mark(key: str) -> str:
    return f"<!-- pilothouse:{key} -->"


def _since(context: Context) -> str:
    """From when on an issue of this run was changed last, by the forge's clock, in the form in which it reads times.

    ``since`` means the last change (docs.github.com, "List repository issues"), which never lies before the opening:
    an edit moves an issue towards the present, never out of the list.
    """
    return (datetime.fromisoformat(context.started_at).astimezone(UTC) - _SKEW).strftime("%Y-%m-%dT%H:%M:%SZ")


def _probe_issue(context: Context, _arguments: Arguments, key: str) -> Probe:
    # The newest first: what appears meanwhile moves others to later pages, so that none is passed over.
    query = {"state": "all", "since": _since(context), "sort": "created", "direction": "desc"}
    for item in forge.pages(context, forge.path(context, "issues"), query):
        if _mark(key) in forge.word(item, "body") and not item.get("pull_request"):
            number = forge.number(item)
            return Probe(
                Presence.APPLIED, f"issue #{number} is there", {"number": number, "url": forge.word(item, "html_url")}
            )
    return Probe(Presence.ABSENT, "no issue bears the run's mark")


def _apply_issue(context: Context, arguments: Arguments, permit: Permit) -> None:
    there = {forge.word(item, "name") for item in forge.pages(context, forge.path(context, "labels"), {})}
    # A label that the repository lacks must not keep the issue from being opened.
    labels = [f"--label={label}" for label in arguments.items("labels") if label in there]
    body = _body(context, arguments, "body", _mark(permit.key)).encode()
    repository = forge.configured(context).repository
    done = forge.gh(
        context,
        "issue",
        "create",
        "-R",
        repository,
        f"--title={_title(arguments)}",
        "--body-file=-",
        *labels,
        stdin=body,
    )
    if done.code:
        raise forge.failure(context, done, "gh issue create")


# -- pull request -----------------------------------------------------------------------------------------------------


def _probe_pull(context: Context, arguments: Arguments, _key: str) -> Probe:
    owner = forge.configured(context).repository.partition("/")[0]
    head, base = arguments.text("head"), arguments.text("base")
    query = {"state": "all", "head": f"{owner}:{head}", "base": base}
    closed = 0
    for item in forge.pages(context, forge.path(context, "pulls"), query):
        if forge.word(item, "head", "ref") != head or forge.word(item, "base", "ref") != base:
            continue
        number = forge.number(item)
        if forge.word(item, "state") == "open" or forge.word(item, "merged_at"):
            return Probe(
                Presence.APPLIED,
                f"pull request #{number} is there",
                {"number": number, "url": forge.word(item, "html_url")},
            )
        closed = closed or number
    if closed:
        return Probe(
            Presence.CONFLICT,
            f"pull request #{closed} was closed without a merge; a person decides whether to open it again",
        )
    return Probe(Presence.ABSENT, f"no pull request from {head} to {base}")


def _apply_pull(context: Context, arguments: Arguments, _permit: Permit) -> None:
    body: dict[str, Json] = {"title": _title(arguments), "body": _body(context, arguments, "body"),
                             "head": arguments.text("head"), "base": arguments.text("base")}  # fmt: skip
    forge.post(context, forge.path(context, "pulls"), body)


TOOLS = (
    Actor(
        acts(
            "forge.release",
            "Publish the release of a tag with its notes.",
            {"tag": Argument("tag"), "title": Argument("text"), "notes": Argument("text", text_body=True)},
            {"url": "text"},
            effect=EffectClass.KEYED, reach=Reach.PRODUCTION, undoable=False,
        ),
        _probe_release, _apply_release, no_pins,
    ),
    Actor(
        acts(
            "forge.issue",
            "Open an issue, once.",
            {"title": Argument("text"), "body": Argument("text", text_body=True), "labels": Argument("labels")},
            {"number": "integer", "url": "text"},
            effect=EffectClass.QUIESCE, reach=Reach.WORKSPACE,
        ),
        _probe_issue, _apply_issue, no_pins,
    ),
    Actor(
        acts(
            "forge.pull_request",
            "Open a pull request from one branch to another.",
            {
                "head": Argument("ref"), "base": Argument("ref"), "title": Argument("text"),
                "body": Argument("text", text_body=True),
            },
            {"number": "integer", "url": "text"},
            effect=EffectClass.KEYED, reach=Reach.WORKSPACE,
        ),
        _probe_pull, _apply_pull, no_pins,
    ),
)  # fmt: skip
