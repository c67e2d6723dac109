"""What the repository says: the contents of a range."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools.commits import LOG, Contents, parse
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from pilothouse_tools.context import Context

_MOST = 512_000_000  # bytes of log


def _contents(context: Context, arguments: Arguments) -> Observation:
    older, newer = arguments.text("from"), arguments.text("to")
    repo = context.repo
    repo.require(newer)
    repo.require(older)
    done = repo.run(*LOG, "--end-of-options", f"{older}..{newer}", timeout=300, cap=_MOST)
    if done.code or done.truncated:
        raise ToolFailed("git-failed", f"git log failed, or said too much (exit {done.code})")
    folder = context.product.path.strip("/")
    try:
        contents = Contents(parse(done.stdout), older, b"" if folder in {"", "."} else folder.encode())
    except ValueError as error:
        raise ToolFailed("git-failed", f"git log is not to be understood: {error}") from None
    if older != newer and not contents.descends:
        raise ToolFailed("not-an-ancestor", f"{newer[:12]} does not descend from {older[:12]}, which is released",
                         "Release a commit that contains what runs now, or roll back.")  # fmt: skip
    facts = contents.facts()
    return Observation(facts, newer, f"{contents.commits} commits, {facts['files']} files")


TOOLS = (
    observes(
        "git.contents",
        "What lies between two commits: entries by conventional commits, pull requests, tickets, counts.",
        {
            "from": Argument("sha", about="released now, not in the range"),
            "to": Argument("sha", about="to be released"),
        },
        {
            "commits": "integer",
            "features": "object",
            "fixes": "object",
            "improvements": "object",
            "dependencies": "object",
            "breaking": "object",
            "other": "integer",
            "pulls": "object",
            "tickets": "object",
            "authors": "object",
            "files": "integer",
            "insertions": "integer",
            "deletions": "integer",
            "omitted": "integer",
        },
        _contents,
    ),
)
