"""Whether a range brings a secret into the repository, by every scanner that is there (AUT-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed
from pilothouse.model import Argument, Observation
from pilothouse_tools import gitleaks
from pilothouse_tools.door import Arguments, observes
from pilothouse_tools.leaks import BuiltIn, Leak, SecretScanner

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_SHOWN = 100
_LARGEST = 300_000  # bytes of pilothouse.yml


def scanners(context: Context) -> tuple[SecretScanner, ...]:
    """The built-in one always, gitleaks where it is installed: neither finds everything."""
    more = gitleaks.installed(context.child_environ())
    own = BuiltIn(context.redact.found)
    return (own, more) if more else (own,)


def _secrets(context: Context, arguments: Arguments) -> Observation:
    older, newer = arguments.text("from"), arguments.text("to")
    context.repo.require(newer)
    context.repo.require(older)
    older = _before(context, older, newer, arguments.text("live"))
    used = scanners(context)
    found = [scanner.scan(context.repo, older, newer) for scanner in used]
    leaks: dict[tuple[str, str, int], Leak] = {}
    for result in found:
        for leak in result.leaks:
            leaks.setdefault((leak.commit, leak.file, leak.line), leak)
    allowed = _allowed(context)
    rows = [leak for leak in leaks.values() if leak.fingerprint not in allowed]
    skipped = sorted({name for result in found for name in result.skipped})
    known: list[Json] = [leak.fingerprint for leak in leaks.values() if leak.fingerprint in allowed]
    facts: dict[str, Json] = {
        "complete": True,
        "count": len(rows),
        "findings": [_row(leak) for leak in rows[:_SHOWN]],
        "allowed": known[:_SHOWN],
        "scanners": [scanner.name for scanner in used],
        "skipped": [*skipped[:_SHOWN]],
    }
    told = f"{len(rows)} secrets" if rows else "no secret"
    return Observation(facts, newer, f"{told} by {', '.join(scanner.name for scanner in used)}")


def _before(context: Context, older: str, newer: str, live: str) -> str:
    """From where on to look: a tag is anybody's to push, so what production runs counts where that is older.

    Raises:
        ToolFailed: the two have nothing in common.
    """
    if not live or live in {older, newer}:
        return older
    try:
        context.repo.require(live)
    except ToolFailed as failure:
        if failure.reason_code != "commit-unknown":
            raise
        return older  # a commit that this repository never had brings nothing into it
    return context.repo.merge_base(older, live)


def _row(leak: Leak) -> dict[str, Json]:
    return {
        "file": leak.file, "line": leak.line, "rule": leak.rule, "commit": leak.commit, "fingerprint": leak.fingerprint,
    }  # fmt: skip


def _allowed(context: Context) -> frozenset[str]:
    """What the remote's base branch allows, now: whoever can edit a working tree must not allow a leak.

    A base branch without a sound pilothouse.yml allows nothing.
    """
    repo, product = context.repo, context.product
    base = repo.head(product.base)
    if not base:
        return frozenset()
    repo.require(base)
    content = repo.file(base, context.configuration_path)
    if content is None or len(content) > _LARGEST:
        return frozenset()
    return context.allowed_secrets(content.decode("utf-8", "replace"))


TOOLS = (
    observes(
        "git.secrets",
        "Secrets that the commits of a range bring into the repository: where and by which rule, never what.",
        {
            "from": Argument("sha", about="released now"), "to": Argument("sha", about="to be released"),
            "live": Argument("sha", required=False, about="what production runs"),
        },
        {
            "complete": "flag", "count": "integer", "findings": "object", "allowed": "names", "scanners": "names",
            "skipped": "names",
        },
        _secrets,
    ),
)  # fmt: skip
