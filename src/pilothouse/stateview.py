"""state.yml: the view of all products, rendered from the ledger, and the notice of a person's edit (REL-12, I32).

The view is a function of the events up to the heads that the file names, and of nothing else: no clock, no
configuration. So what was rendered can be made again at any later time and compared with what the file says now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pilothouse import __version__, statefile
from pilothouse.errors import InvalidFile
from pilothouse.events import GLOBAL_CHAIN, PRODUCT_LINE
from pilothouse.guard.fold import fold
from pilothouse.guard.product import Lock, fold_product
from pilothouse.guard.state import MAIN, RunState
from pilothouse.render.course import (
    Standing,
    current,
    deployed_to,
    next_action,
    open_checkpoint,
    outline,
    standing,
    state_name,
)
from pilothouse.stateshape import SCHEMA

if TYPE_CHECKING:
    from pilothouse.canonical import Json
    from pilothouse.events import Event
    from pilothouse.workspace import Workspace

RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Comparison:
    """state.yml against the ledger. Not ``comparable``: there is nothing to compare it with, and ``why`` says so."""

    comparable: bool
    why: str
    differences: tuple[statefile.Difference, ...] = ()


def render_state_file(app: Workspace) -> bool:
    """Bring state.yml to the ledger's heads; whether its bytes changed.

    A file that a person edited, or that cannot be rendered, is left as it is: rendering is no act and stops no run.
    The next command that starts or advances one says so (``check_state_file``).
    """
    path = app.project / statefile.NAME
    with suppress(InvalidFile):
        if not differences(app).differences:
            return statefile.update(path, view_of(app))
    return False


def check_state_file(app: Workspace) -> None:
    """Refuse to start or advance a run while a person's edit of our keys stands in state.yml.

    Raises:
        InvalidFile: ``state-edited``, with what the file says and what the ledger says; or the file is no strict YAML.
    """
    path = app.project / statefile.NAME
    existing = statefile.read_file(path)
    expected = _expected(app, existing)
    if isinstance(expected, Mapping):
        statefile.demand_unedited(statefile.NAME, existing, expected)


def differences(app: Workspace) -> Comparison:
    """Where state.yml is not what was rendered at the heads that it names.

    Raises:
        InvalidFile: it is no strict YAML, or a symbolic link.
    """
    existing = statefile.read_file(app.project / statefile.NAME)
    expected = _expected(app, existing)
    if isinstance(expected, str):
        return Comparison(comparable=False, why=expected)
    return Comparison(comparable=True, why="", differences=statefile.check(existing, expected))


def view_of(app: Workspace) -> dict[str, Json]:
    """The view at the ledger's heads."""
    return _view({chain: app.journal.read(chain) for chain in _chains(app)})


def _chains(app: Workspace) -> list[str]:
    if not _has_ledger(app):
        return []
    return list(app.journal.chains())


def _has_ledger(app: Workspace) -> bool:
    return app.has_ledger


def _expected(app: Workspace, existing: str | None) -> dict[str, Json] | str:
    """The view at the heads that the file names, or why there is none."""
    header = statefile.read(existing).get("pilothouse")
    if not isinstance(header, dict) or not isinstance(header.get("heads"), dict):
        return "was not rendered yet"
    if header.get("rendered_by") != f"pilothouse {__version__}":
        return f"was rendered by {header.get('rendered_by')}"  # another version may render other keys
    heads = cast("dict[str, Json]", header["heads"])
    if heads and not _has_ledger(app):
        return "names heads of a ledger, and there is none here"
    events: dict[str, Sequence[Event]] = {}
    for chain, head in heads.items():
        seq = head.get("seq") if isinstance(head, dict) else None
        upto = [event for event in app.journal.read(chain) if isinstance(seq, int) and event.seq <= seq]
        if not isinstance(head, dict) or not upto or (upto[-1].seq, upto[-1].hash) != (seq, head.get("hash")):
            return f"names a head of {chain} that this ledger does not hold"
        events[chain] = upto
    return _view(events)


def _view(chains: Mapping[str, Sequence[Event]]) -> dict[str, Json]:
    heads: dict[str, Json] = {name: {"seq": events[-1].seq, "hash": events[-1].hash} for name, events in chains.items()}
    header: dict[str, Json] = {"schema": SCHEMA, "rendered_by": f"pilothouse {__version__}", "heads": heads}
    last = max((events[-1].at for events in chains.values()), default="")
    everything = fold_product(chains.get(GLOBAL_CHAIN, ()))
    products: dict[str, Json] = {
        name: _product(_runs(events), [*fold_product(events).held(last), *everything.held(last)])
        for name, events in sorted(chains.items())
        if name != GLOBAL_CHAIN
    }
    return {"pilothouse": header, "products": products}


def _runs(events: Sequence[Event]) -> list[RunState]:
    by_run: dict[str, list[Event]] = {}
    for event in events:
        if event.run != PRODUCT_LINE:
            by_run.setdefault(event.run, []).append(event)
    return sorted((fold(own) for own in by_run.values()), key=lambda state: state.started_at)


def _locks(locks: Sequence[Lock]) -> list[Json]:
    """What holds the product at the heads: a lock that ran out before them is not told."""
    return [
        {
            "name": lock.fact.name, "reason": lock.fact.reason, "owner": lock.fact.owner,
            "until": _plain(lock.fact.expires_at) if lock.fact.expires_at else "unlocked",
        }
        for lock in locks
    ]  # fmt: skip


def _product(runs: Sequence[RunState], locks: Sequence[Lock]) -> dict[str, Json]:
    if not runs:
        return {"locks": _locks(locks)} if locks else {}
    last = runs[-1]
    at = None if last.over else current(last)
    environments = _environments(runs)
    production = environments.get("production", {})
    released = [state for state in runs if phase_at_end(state) == RELEASED]
    view: dict[str, Json] = {
        "phase": at.phase if at else phase_at_end(last),
        "version": production.get("version", last.started.from_version),
        "last_release": _plain(released[-1].last_at) if released else None,
        "last_activity": _plain(max(state.last_at for state in runs)),
        "run": last.run,
        "next_action": next_action(last) or None,
        "checkpoint": open_checkpoint(last) or None,
        "locks": _locks(locks) or None,
        "environments": {name: dict(item) for name, item in sorted(environments.items())},
        "tasks": _tasks(last),
    }
    return {key: value for key, value in view.items() if value is not None}


def phase_at_end(state: RunState) -> str:
    """What a run has brought its product to: only one that deployed to production has released it."""
    name = state_name(state)
    if name != "done":
        return name
    return RELEASED if deployed_to(state, "production") else "staged" if deployed_to(state, "staging") else name


def _environments(runs: Sequence[RunState]) -> dict[str, dict[str, Json]]:
    """What each environment was last seen or made to run: version and commit, the latest recorded word wins."""
    told: list[tuple[str, str, dict[str, Json]]] = []
    for state in runs:
        told += [
            (seen.at, "production", seen.facts)
            for seen in state.evidence_by_id.values()
            if seen.tool == "deploy.current" and seen.facts.get("version")
        ]
        for planned in state.plan.acts if state.plan else ():
            act = state.acts.get(planned.step)
            if planned.tool == "deploy.apply" and act and act.done:
                told.append((act.ended_at, str(planned.arguments.get("environment")), act.done.facts))
    found: dict[str, dict[str, Json]] = {}
    for _, name, facts in sorted(told, key=lambda item: item[0]):
        sha = facts.get("commit") or facts.get("sha")
        found[name] = {"version": str(facts.get("version", "")), "sha": str(sha or "")}
    return found


def _tasks(state: RunState) -> list[Json]:
    """The phases of an open run and where each stands; nothing once it is over."""
    if state.over:
        return []
    order = (Standing.FAILED, Standing.WAITING, Standing.RUNNING, Standing.PENDING)
    tasks: dict[str, dict[str, Json]] = {}
    for entry in outline(state, MAIN):
        task = tasks.setdefault(entry.phase, {"task": entry.phase_title, "state": str(Standing.DONE)})
        stands = standing(entry, state)
        known = [str(item) for item in order]
        if stands in order and (
            task["state"] not in known or known.index(str(stands)) < known.index(str(task["state"]))
        ):
            task["state"] = str(stands)
    return list(tasks.values())


def _plain(at: str) -> str:
    """ISO 8601 UTC, whole seconds: ``2026-11-21T09:44:07Z``."""
    return f"{at[:19]}Z"
