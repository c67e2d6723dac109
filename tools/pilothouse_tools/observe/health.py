"""Is an environment healthy, and what runs there?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pilothouse.model import Argument, Observation
from pilothouse_tools import health
from pilothouse_tools.door import Arguments, observes

if TYPE_CHECKING:
    from pilothouse_tools.context import Context

_KEPT = 50


def _check(context: Context, arguments: Arguments) -> Observation:
    environment = context.environment(arguments.text("environment"))
    version, sha, rules = arguments.text("version"), arguments.text("sha"), environment.health
    deadline = context.clock.now() + timedelta(seconds=rules.deadline)
    looks: list[health.Look] = []
    in_a_row = 0
    while True:
        seen = health.look(environment, version, sha)
        looks = [*looks, seen][-_KEPT:]
        in_a_row = 0 if seen.problem else in_a_row + 1
        if in_a_row >= rules.times or context.clock.now() + timedelta(seconds=rules.every) > deadline:
            break
        context.clock.sleep(rules.every)
    healthy = in_a_row >= rules.times
    last = looks[-1]
    summary = f"{environment.name}: healthy {in_a_row} of {rules.times}" + (
        f" ({last.problem})" if last.problem else ""
    )
    return Observation(
        {
            "healthy": healthy, "looks": [item.as_json() for item in looks], "version": last.version, "sha": last.sha,
            "in_a_row": in_a_row, "needed": rules.times,
        },
        sha,
        summary,
    )  # fmt: skip


def _current(context: Context, arguments: Arguments) -> Observation:
    environment = context.environment(arguments.text("environment"))
    said = health.answering(environment)
    head = tree = ""
    if environment.deploy.model == "push":
        head = context.repo.head(environment.deploy.branch)
        if head:
            context.repo.require(head)
            tree = context.repo.tree(head)
    summary = f"{environment.name} answers {said.version}" if said.version else f"{environment.name}: {said.problem}"
    return Observation(
        {"version": said.version, "sha": said.sha, "reachable": said.reachable, "head": head, "tree": tree},
        "",  # about the environment, whatever commit runs there
        summary,
    )


TOOLS = (
    observes(
        "health.check",
        "Whether an environment answers the expected version and good health, several times in a row.",
        {
            "environment": Argument("environment"),
            "version": Argument("version", required=False, about="empty: judged by the commit alone"),
            "sha": Argument("sha", required=False),
        },
        {
            "healthy": "flag",
            "looks": "object",
            "version": "text",
            "sha": "text",
            "in_a_row": "integer",
            "needed": "integer",
        },
        _check,
    ),
    observes(
        "deploy.current",
        "What runs on an environment now, and where its deploy branch is.",
        {"environment": Argument("environment")},
        {"version": "version", "sha": "sha", "reachable": "flag", "head": "sha", "tree": "text"},
        _current,
    ),
)
