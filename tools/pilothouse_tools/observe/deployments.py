"""The deployment that a push triggers, found by its commit and waited for to its end (AUD-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilothouse.errors import ToolFailed, Unreachable
from pilothouse.model import Argument, Observation
from pilothouse_tools import forge
from pilothouse_tools.door import Arguments, observes
from pilothouse_tools.text import one_line

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse_tools.context import Context

_LONGEST = 86_400  # seconds
_FIRST, _SLOWEST, _GROWTH = 0.5, 15.0, 1.5  # seconds between two looks
_PENDING = frozenset({"queued", "pending", "in_progress", "waiting", "requested"})


def _deployment(context: Context, arguments: Arguments) -> Observation:
    sha, environment, timeout = arguments.text("sha"), arguments.text("environment"), arguments.number("timeout")
    if not 0 <= timeout <= _LONGEST:
        raise ToolFailed("bad-argument", f"timeout is 0 to {_LONGEST} seconds, not {timeout}")
    clock = context.clock
    began, pause = clock.now(), _FIRST
    while True:
        trouble: Unreachable | None = None
        found: dict[str, Json] = _facts(sha, environment)
        try:
            found = _look(context, sha, environment)
        except Unreachable as error:  # the deployment goes on without the forge's answering
            trouble = error
        waited = (clock.now() - began).total_seconds()
        if found["state"] in {"success", "failure"}:
            break
        if waited >= timeout:
            if trouble is not None:
                raise trouble
            break
        clock.sleep(min(pause, timeout - waited))
        pause = min(pause * _GROWTH, _SLOWEST)
    shown = f"{environment}: {found['state']} after {int(waited)} s"
    return Observation({**found, "waited": int(waited)}, sha, shown)


def _facts(sha: str, environment: str, state: str = "absent", **told: str) -> dict[str, Json]:
    texts: dict[str, Json] = {"url": "", "log_url": "", "id": "", **told}
    return {"found": state != "absent", "state": state, "environment": environment, "sha": sha, **texts}


def _look(context: Context, sha: str, environment: str) -> dict[str, Json]:
    """The newest deployment of exactly this commit to this environment, and what it has come to."""
    query = {"sha": sha, "environment": environment}
    deployments = [
        item
        for item in forge.pages(context, forge.path(context, "deployments"), query)
        if forge.word(item, "sha") == sha and forge.word(item, "environment") == environment
    ]
    if not deployments:
        return _facts(sha, environment)
    number = max(forge.number(item, "id") for item in deployments)
    statuses = list(forge.pages(context, forge.path(context, "deployments", str(number), "statuses"), {}))
    newest = max(statuses, key=lambda item: (forge.word(item, "created_at"), forge.number(item, "id")), default={})
    return _facts(
        sha, environment, _state(newest, statuses), id=str(number),
        url=one_line(forge.word(newest, "environment_url") or forge.word(newest, "target_url"), 300),
        log_url=one_line(forge.word(newest, "log_url") or forge.word(newest, "target_url"), 300),
    )  # fmt: skip


def _state(newest: dict[str, Json], statuses: list[dict[str, Json]]) -> str:
    said = forge.word(newest, "state")
    if said == "inactive":  # another one has taken its place since
        return "success" if any(forge.word(item, "state") == "success" for item in statuses) else "failure"
    if not newest or said in _PENDING:
        return "pending"
    return "success" if said == "success" else "failure"


TOOLS = (
    observes(
        "forge.deployment",
        "The forge's newest deployment of a commit to an environment, waited for to its end.",
        {
            "sha": Argument("sha", about="what was pushed"),
            "environment": Argument("text", about="its name in the forge's deployments"),
            "timeout": Argument("integer", about="seconds to wait for its end"),
        },
        {
            "found": "flag", "state": "text", "id": "text", "url": "text", "log_url": "text", "environment": "text",
            "sha": "sha", "waited": "integer",
        },
        _deployment,
    ),
)  # fmt: skip
