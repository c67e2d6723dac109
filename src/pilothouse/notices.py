"""Telling people where a run stands: once each, by whoever goes on with it, and never in its way (FACE-6).

What was told, and what could not be delivered, is an event of the run; a service that is dead or slow fails nothing.
A message says what to do and where; a confirmation word is in none, for nothing here ever sees one.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pilothouse import config
from pilothouse.composition import context_of
from pilothouse.engine.world import iso
from pilothouse.errors import PilothouseError, ToolFailed
from pilothouse.events import Notified
from pilothouse.guard.clearance import clearance_of, missing
from pilothouse.guard.fold import fold
from pilothouse.guard.state import RunState
from pilothouse.render.course import awaits_go, held, next_action, open_checkpoint, versions

if TYPE_CHECKING:
    from pilothouse.settings import Configuration, Notice, Product
    from pilothouse.workspace import Workspace

ANNOUNCES = "notify.send"  # the act by which a workflow itself says how it ended


@dataclass(frozen=True, slots=True)
class Occasion:
    """A state that people are told of. ``key`` tells it from the same state at another time; ``text`` says what to do.

    ``follows``: only worth telling where an earlier state is shown and can be updated.
    """

    key: str
    state: str
    text: str
    follows: bool = False


def tell(app: Workspace, state: RunState) -> None:
    """Tell every configured channel where a run stands, unless it was told. Never raises for what a service does."""
    if "notify" not in state.started.config_source:
        return
    with suppress(PilothouseError, OSError):
        product = _parsed(state.started.config_source).products[state.started.product]
        if not _wanting(product, state):
            return
        with _alone(app, state.run) as mine:
            if mine:
                _tell(app, product, state.run)


@lru_cache(maxsize=16)
def _parsed(source: str) -> Configuration:
    return config.parse(source, "pilothouse.yml")


@contextmanager
def _alone(app: Workspace, run: str) -> Iterator[bool]:
    """Whether nobody else on this machine is telling of this run now: two conductors would tell twice."""
    folder = app.project / ".pilothouse" / "notified"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{run}.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def _tell(app: Workspace, product: Product, run: str) -> None:
    from pilothouse_tools import notifier

    state = fold(event for event in app.journal.read(product.name) if event.run == run)
    started = state.started
    context = context_of(app, _parsed(started.config_source), product.name, run, state.started_at, {})
    occasion = occasion_of(state)
    for notice in _wanting(product, state):
        assert occasion is not None  # nobody wants to hear of none
        at = iso(app.clock.now())
        message = notifier.Message(
            notifier.message_id(run, state.started_at), occasion.state, run, product.name,
            f"{product.title} {_versions(state)}: {occasion.state}", occasion.text, at,
        )  # fmt: skip
        delivered, told = True, message.text
        try:
            notifier.deliver(context, notice, message)
        except ToolFailed as failure:
            delivered, told = False, failure.message
        except Exception as error:  # noqa: BLE001 - a service's library may raise anything, and no run ends by it
            delivered, told = False, f"{notice.channel} failed: {type(error).__name__}"
        fact = Notified(occasion.key, notifier.label(notice), delivered, context.redact(told)[:1000])
        app.journal.append(product.name, run, [fact], at)


def _wanting(product: Product, state: RunState) -> list[Notice]:
    """The channels that are still to be told of what a run is at."""
    from pilothouse_tools import notifier

    occasion = occasion_of(state)
    if occasion is None:
        return []
    wanting = []
    for notice in product.notify:
        channel = notifier.label(notice)
        before = [told for (_, where), told in state.notified.items() if where == channel]
        wanted = notice.channel in notifier.UPDATING and bool(before) if occasion.follows else (
            occasion.state in notice.states
        )  # fmt: skip
        if wanted and (occasion.key, channel) not in state.notified:
            wanting.append(notice)
    return wanting


def occasion_of(state: RunState) -> Occasion | None:
    """What there is to tell of a run now, or None."""
    if state.over:
        return _over(state)
    code, stop = "", state.halted or state.refused
    if stop is not None:
        name, code = ("halted", stop.reason_code) if state.halted else ("refused", stop.reason_code)
        text = f"{stop.step}: {stop.message} ({code}). {stop.hint}".strip()
        return Occasion(f"{name}:{state.resumed_seq}", name, f"{text}\nThen: {next_action(state)}")
    checkpoint = open_checkpoint(state)
    if checkpoint:
        return _waiting(state, checkpoint)
    holding = held(state)
    if holding is not None:
        reasons = "; ".join(holding.reasons)
        text = f"{holding.agent} holds at {holding.step}: {reasons}\nTo go on: {next_action(state)}"
        return Occasion(f"waiting:{holding.step}:{state.resumed_seq}", "waiting", text)
    if step := awaits_go(state):
        text = f"{step} waits for a go of its own.\nTo go on: {next_action(state)}"
        return Occasion(f"waiting:go:{step}:{state.resumed_seq}", "waiting", text)
    if not state.notified:
        return None
    last = next(reversed(state.notified))[0]
    if last.startswith("going-on"):
        return None
    return Occasion(f"going-on:{last}", "going-on", f"{state.run} goes on.", follows=True)


def _waiting(state: RunState, checkpoint: str) -> Occasion:
    known = state.checkpoints[checkpoint]
    assert known.opened is not None
    cleared = clearance_of(known.opened.basis)
    lacking = missing(cleared, known.approvals) if cleared else ()
    asked = f" It needs {' and '.join(map(str, lacking))}." if lacking else ""
    until = known.opened.expires_at[:16].replace("T", " ")
    text = (
        f"{_versions(state)} waits at the checkpoint {checkpoint!r} until {until} UTC.{asked}\n"
        f"Read the card and decide: {next_action(state)}\n"
        f"Or: pilothouse reject {state.run} --reason '…'"
    )
    key = f"waiting:{known.opened.approval_digest[:16]}:{len(known.approvals)}"
    return Occasion(key, "waiting", text)


def _over(state: RunState) -> Occasion:
    if state.ended is None:
        by = state.superseded_by
        told = f"gave way to {by}" if by else "was ended by a person, or nobody answered in time"
        return Occasion("ended", "aborted", f"{state.run} {told}.", follows=True)
    # Who asked to be told of what halts is told of what failed for good.
    outcome = "halted" if state.ended.outcome == "failed" else state.ended.outcome
    acts = state.plan.acts if state.plan else ()
    announced = any(
        act.tool == ANNOUNCES and (known := state.acts.get(act.step)) is not None and known.done is not None
        for act in acts
    )
    text = f"{state.ended.message}\nSee: pilothouse status {state.run}"
    return Occasion(outcome, outcome, text, follows=announced)  # what was announced is only brought up to date


def _versions(state: RunState) -> str:
    before, after = versions(state)
    return f"{before} → {after}" if after else f"from {before}"
