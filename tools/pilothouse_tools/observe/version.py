"""The next version, and what the changelog holds for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools import changelog, grammar, versions
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_MOST_ENTRIES = 200


def changelog_text(context: Context, sha: str) -> str | None:
    """The changelog at a commit; None where there is no such file. Raises ToolFailed("changelog-unreadable")."""
    path = context.in_product(context.product.versioning.changelog)
    if not grammar.is_path(path):
        raise ToolFailed("changelog-unreadable", f"{path[:80]!r} is no path within the repository")
    content = context.repo.file(sha, path)
    try:
        return None if content is None else content.decode("utf-8")
    except UnicodeDecodeError:
        raise ToolFailed("changelog-unreadable", f"{path} is not UTF-8 at {sha[:12]}") from None


def _unreleased(context: Context, arguments: Arguments) -> Observation:
    sha = arguments.text("sha")
    text = changelog_text(context, sha)
    parts = None if text is None else changelog.unreleased(text)
    shown: dict[str, Json] = {}
    for name, entries in (parts or {}).items():
        shown[name[:60]] = [entry[:500] for entry in entries[:_MOST_ENTRIES]]
    count = sum(map(len, (parts or {}).values()))
    found = parts is not None
    summary = f"{count} unreleased entries" if found else "no section Unreleased"
    return Observation({"entries": count, "sections": shown, "found": found}, sha, summary)


def _decide(context: Context, arguments: Arguments) -> Observation:
    settings = context.product.versioning
    if settings.scheme != "semver":
        raise ToolFailed(
            "not-supported", f"the versioning scheme {settings.scheme!r} is not supported yet", "Use semver."
        )
    sha, current, contents = arguments.text("sha"), arguments.text("current"), arguments.record("contents")
    counts = {
        name: _count(contents, name)
        for name in ("features", "fixes", "improvements", "dependencies", "breaking", "commits")
    }
    text = changelog_text(context, sha)
    parts = [name for name, entries in ((text and changelog.unreleased(text)) or {}).items() if entries]
    chosen = versions.decide(current, arguments.text("requested"), counts, parts)
    return Observation(
        {
            "version": chosen.version,
            "previous": current,
            "bump": chosen.bump,
            "why": chosen.why,
            "tag": f"{settings.tag_prefix}{chosen.version}",
            "branch": f"release/{context.product.name}/v{chosen.version}",
        },
        sha,
        f"{current} → {chosen.version} ({chosen.why})",
    )


def _count(contents: dict[str, Json], name: str) -> int:
    match contents.get(name):
        case list() as entries:
            return len(entries)
        case int() as number if not isinstance(number, bool):
            return number
    raise ToolFailed("bad-argument", f"contents lacks {name!r}: it must be what git.contents answered")


TOOLS = (
    observes(
        "changelog.unreleased",
        "The unreleased entries of the changelog at a commit.",
        {"sha": Argument("sha")},
        {"entries": "integer", "sections": "object", "found": "flag"},
        _unreleased,
    ),
    observes(
        "version.decide",
        "The next version by the changes, the changelog and what was asked for.",
        {
            "sha": Argument("sha"),
            "current": Argument("version", about="released now"),
            "requested": Argument("text", required=False, about="empty, major, minor, patch or X.Y.Z"),
            "contents": Argument("object", about="what git.contents answered"),
        },
        {"version": "version", "previous": "version", "bump": "text", "why": "text", "tag": "tag", "branch": "ref"},
        _decide,
    ),
)
