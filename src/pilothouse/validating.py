"""Manual checks: what only a person can see, answered on a terminal and recorded for one commit (APR-8)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from pilothouse.errors import RequestRefused, UsageError
from pilothouse.events import Validated
from pilothouse.guard.product import NO, YES, ProductState
from pilothouse.locking import append_to_line, tools_for
from pilothouse.policies import permitted, policy_on_base
from pilothouse.settings import ManualCheck

if TYPE_CHECKING:
    from pilothouse.model import Person
    from pilothouse.workspace import Workspace

Ask = Callable[[ManualCheck, str], tuple[str, str]]  # the check and the commit; what was answered, and a note
_SHA = re.compile(r"[0-9a-f]{40}")


def validate(app: Workspace, product: str, who: Person, ask: Ask, sha: str = "") -> tuple[Validated, ...]:
    """Ask every manual check of a product and record each answer as it is given.

    Args:
        app: the project.
        product: its name.
        who: must be an approver of the base branch.
        ask: puts one question to the person; anything but yes and no is refused.
        sha: the commit that is judged; empty: the open run's, else the head of the base branch.

    Raises:
        RequestRefused: ``nothing-to-validate``, or this person may not.
        UsageError: no such product, no full commit, or an answer that is none.
    """
    tools, _ = tools_for(app, product)
    policy = policy_on_base(app, tools, product)
    known = policy.products.get(product)
    if known is None or not known.manual_checks:
        raise RequestRefused("nothing-to-validate", f"{product} has no manual checks on the base branch")
    approver = permitted(policy, who)
    sha = sha or _judged_now(app, product) or str(tools.observe("git.base", {}).facts["to_sha"])
    if _SHA.fullmatch(sha) is None:
        raise UsageError("bad-sha", f"{sha[:50]!a} is no commit", "write all 40 hexadecimal digits")
    given = []
    for check in known.manual_checks:
        answer, note = ask(check, sha)
        if answer not in (YES, NO):
            raise UsageError("bad-answer-given", f"{answer[:40]!a} is neither yes nor no", "answer yes or no")
        fact = Validated(check.id, sha, answer, note.strip()[:500], approver.id, who.channel, who.authentication)
        append_to_line(app, product, partial(_always, fact))
        given.append(fact)
    return tuple(given)


def _always(fact: Validated, _line: ProductState) -> Validated:
    return fact  # a later answer takes an earlier one's place: nothing about the line forbids it


def _judged_now(app: Workspace, product: str) -> str:
    return next((state.started.to_sha for state in app.runs(product) if not state.over), "")
