"""The finalised changelog of a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools import changelog, grammar
from pilothouse_tools.door import Arguments, drafts
from pilothouse_tools.observe.version import changelog_text

if TYPE_CHECKING:
    from pilothouse_tools.context import Context


def _finalise(context: Context, arguments: Arguments) -> Observation:
    sha, version, date = arguments.text("sha"), arguments.text("version"), arguments.text("date")
    if not grammar.DATE.fullmatch(date):
        raise ToolFailed("bad-argument", "changelog.finalise argument 'date' is no YYYY-MM-DD")
    text = changelog_text(context, sha)
    if text is None:
        raise ToolFailed("changelog-missing", f"there is no {context.product.versioning.changelog} at {sha[:12]}",
                         "Add a changelog with the heading: ## [Unreleased]")  # fmt: skip
    prefix = context.product.versioning.tag_prefix
    new = changelog.finalise(text, version, arguments.text("previous"), date, prefix)
    section = changelog.section(new, version)
    return Observation({"text": new, "section": section}, sha, f"changelog of {version}, {date}")


TOOLS = (
    drafts(
        "changelog.finalise",
        "The changelog with its unreleased part dated as a version.",
        {
            "sha": Argument("sha"), "version": Argument("version"), "previous": Argument("version"),
            "date": Argument("text", about="YYYY-MM-DD"),
        },
        {"text": "text", "section": "text"},
        _finalise,
    ),
)  # fmt: skip
