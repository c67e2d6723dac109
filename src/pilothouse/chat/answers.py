"""Answers from the ledger, without a model: where a run stands, why it waits, who approved. Never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from pilothouse.guard.clearance import clearance_of
from pilothouse.render.course import (
    Times,
    agent_title,
    awaits_go,
    held,
    needed,
    next_action,
    open_checkpoint,
    outline,
    state_name,
    versions,
)
from pilothouse.render.drawing import draw, draw_row
from pilothouse.render.live import local_now
from pilothouse.render.report import ending
from pilothouse.render.rows import Mark
from pilothouse.render.screen import BLANK, Line, Tone, cut, line, padded
from pilothouse.render.telling import ago, clock
from pilothouse.render.text import safe, wrap
from pilothouse.render.timeline import headline, timeline

if TYPE_CHECKING:
    from pilothouse.app import Pilothouse
    from pilothouse.guard.policy import Block
    from pilothouse.guard.state import RunState

INDENT = 6  # columns: answers stand under what was said
_MOST_RUNS = 12
TONES = {
    "done": Tone.GOOD, "waiting": Tone.WAIT, "running": Tone.BUSY, "refused": Tone.BAD, "halted": Tone.BAD,
        "failed": Tone.BAD,
    "rolled-back": Tone.BACK,
}  # fmt: skip


def told(text: str, width: int, tone: Tone = Tone.PLAIN) -> list[Line]:
    """A sentence or more, wrapped, under what was said."""
    return [line(" " * INDENT, (part, tone)) for part in wrap(text, width - INDENT - 1)]


def sentences(*said: str) -> str:
    """Several sentences as one text; empty ones are left out."""
    return " ".join(item if item.endswith((".", "?", ":")) else f"{item}." for item in said if item)


def times_of(app: Pilothouse, state: RunState) -> Times:
    """When the steps of a run were at work."""
    return Times.of(event for event in app.journal.read(state.started.product) if event.run == state.run)


def where(app: Pilothouse, state: RunState, width: int, *, at_work: bool) -> list[Line]:
    """Where a run stands: what is done, what is happening, what is to come, what is wanted of whom."""
    now = local_now()
    seen = timeline(state, times_of(app, state), now)
    before = f"{headline(state)} ({state.run})"
    name = state_name(state)
    lines = [line(" " * INDENT, (before, Tone.STRONG), " ", (name, TONES.get(name, Tone.DIM)))]
    done = [row.title for row in seen.rows if row.mark in {Mark.DONE, Mark.BACK}]
    if done:
        lines += told(f"Done: {', '.join(done)}.", width, Tone.DIM)
    for row in seen.rows:
        if row.mark not in {Mark.DONE, Mark.BACK}:
            lines += [line(" " * (INDENT - 1), *spans) for spans in draw_row(row, width - INDENT, spinner="…")]
    if seen.to_come:
        lines += told(f"To come: {', '.join(seen.to_come)}.", width, Tone.DIM)
    return [*lines, *told(wanted(state, at_work=at_work), width)]


def wanted(state: RunState, *, at_work: bool) -> str:
    """What is wanted, and of whom, in a sentence."""
    name = state_name(state)
    if state.over:
        return _over(state)
    if open_checkpoint(state) and not (state.refused or state.halted):
        return sentences("Wanted of you: read the card and approve, or say no", f"/approve or /reject {state.run} …")
    if name == "running":
        return (
            "Nothing is wanted of you." if at_work else f"Nobody is at work on it. Go on with it: /resume {state.run}"
        )
    return f"Next: {commanded(state)}"


def _unattended(state: RunState) -> str:
    return f"Nobody is at work on it. Go on with it: /resume {state.run}"


def commanded(state: RunState) -> str:
    """The next action as it is typed here, or in a shell where it takes options."""
    command = next_action(state)
    if " --" in command:
        return f"in a shell: {command}"
    return command.replace("pilothouse ", "/", 1)


def _over(state: RunState) -> str:
    before, after = versions(state)
    product = state.started.product
    match state_name(state):
        case "done" if state.started.workflow == "rollback":
            return f"It is over: {product} is back on {safe(after, 40)}."
        case "done":
            return f"It is over: {product} {safe(after, 40)} is done."
        case "failed":
            return f"It is over: {product} {safe(after, 40)} failed. To go back: rollback {product}."
        case "rolled-back":
            return f"It is over: production went back to {safe(before, 40)}."
    return f"It is over. Start anew with: ship {product}"


def why(app: Pilothouse, state: RunState, width: int, *, at_work: bool) -> list[Line]:
    """Why a run waits, rests, halted or went back; and what to do."""
    now = local_now()
    checkpoint = open_checkpoint(state)
    hold = held(state)
    if checkpoint and not (state.refused or state.halted):
        return [*_why_checkpoint(state, checkpoint, width, now), *told("/approve shows the card and asks.", width)]
    if hold is not None:
        reasons = "; ".join(safe(reason, 300) for reason in hold.reasons)
        cites = f" (evidence {', '.join(hold.cites)})" if hold.cites else ""
        said = f"{agent_title(hold.agent)} holds it at {hold.step}: {reasons}{cites}"
        return told(sentences(said, "A permitted person may lift that with a reason", commanded(state)), width)
    if step := awaits_go(state):
        return told(
            sentences(f"It waits for a person's go for {step}, which is asked for each time", commanded(state)), width
        )
    trouble = state.halted or state.refused
    if trouble is not None:
        how = "halted" if state.halted else "was refused"
        said = f"It {how} at {trouble.step} ({trouble.reason_code}): {safe(trouble.message, 400)}"
        more = f"What that means: /explain {trouble.reason_code}"
        return told(sentences(said, f"Once that is dealt with: {commanded(state)}", more), width)
    if state.branched is not None:
        went = state.branched
        said = (
            f"It went back at {went.at_step} ({went.reason_code}, severity {went.severity}): {safe(went.message, 400)}"
        )
        return told(sentences(said, wanted(state, at_work=at_work)), width)
    if state.over:
        return _why_over(state, width)
    watch = next((item for item in state.watches.values() if item.closed is None), None)
    if watch is not None:
        until = clock(watch.opened.ends_at, now)
        return told(f"It watches production until {until}: that time is part of what was approved.", width)
    if not at_work:
        return told(_unattended(state), width)
    seen = timeline(state, times_of(app, state), now)
    doing = next((row for row in seen.rows if row.mark is Mark.RUNNING), None)
    what = f"{doing.title}: {doing.pieces[0] if doing.pieces else 'at work'}" if doing else "at work"
    return told(f"It does not wait: {what.rstrip(' …')}.", width)


def _why_checkpoint(state: RunState, checkpoint: str, width: int, now: datetime) -> list[Line]:
    known = state.checkpoints[checkpoint]
    assert known.opened is not None
    title = next((entry.phase_title for entry in outline(state) if entry.id == checkpoint), checkpoint)
    since, until = clock(known.opened_at, now), clock(known.opened.expires_at, now)
    cleared = clearance_of(known.opened.basis)
    who = "; ".join(safe(item, 200) for item in needed(state))
    people = ", ".join(safe(item.id, 60) for item in cleared.approvers) if cleared else ""
    said = f"It waits at “{title}” since {since} for a person, and expires {until}"
    return told(sentences(said, f"Needed: {who}" if who else "", f"Approvers: {people}" if people else ""), width)


def _why_over(state: RunState, width: int) -> list[Line]:
    if state.aborted is not None:
        reason = str(getattr(state.aborted, "reason", "nobody answered in time"))
        return told(sentences(f"It is over ({type(state.aborted).__name__.lower()}): {safe(reason, 300)}"), width)
    return told(_over(state), width)


def approved(app: Pilothouse, state: RunState, width: int) -> list[Line]:
    """Who started a run and who approved what, by which channel."""
    times, now = times_of(app, state), local_now()
    begun = f"Started by {safe(state.started.started_by, 80)} ({safe(state.started.channel, 20)})"
    lines = told(f"{state.run}: {begun}, {ago(state.started_at, now)}.", width)
    any_given = False
    for name, known in state.checkpoints.items():
        title = next((entry.phase_title for entry in outline(state) if entry.id == name), name)
        for given in known.approvals:
            any_given = True
            at = times.approved_at.get(name, "")
            when = f" at {clock(at, now)}" if at else ""
            said = f"“{title}”: approved by {safe(given.who, 80)} ({given.channel}, {given.authentication}){when}"
            lines += told(sentences(said, safe(given.exception or "", 200)), width)
        if not known.approvals and known.opened is not None:
            lines += told(f"“{title}”: nobody yet; needed: {'; '.join(needed(state)) or 'an approver'}.", width)
            any_given = True
    return lines if any_given else [*lines, *told("Nothing was asked of anybody yet.", width)]


def runs(states: Iterable[RunState], width: int) -> Iterator[Line]:
    """The latest runs, one a line."""
    listed = list(states)
    if not listed:
        yield from told("Nothing was shipped from this project yet.", width)
    for state in listed[-_MOST_RUNS:]:
        name = state_name(state)
        after = "" if state.over else commanded(state)
        yield line(
            " " * INDENT, (padded(state.run, 18), Tone.PLAIN), " ", (padded(name, 12), TONES.get(name, Tone.DIM)), " ",
            padded(headline(state), 22), " ", (cut(after, max(10, width - INDENT - 56)), Tone.DIM),
        )  # fmt: skip
    if len(listed) > _MOST_RUNS:
        yield from told(f"and {len(listed) - _MOST_RUNS} before them: pilothouse status", width, Tone.DIM)


def whole(app: Pilothouse, state: RunState, width: int) -> list[Line]:
    """The timeline of a run, and how it stands."""
    times = times_of(app, state)
    return [BLANK, *draw(timeline(state, times, local_now()), width, spinner="…"), *said_at_rest(app, state, width)]


def said_at_rest(app: Pilothouse, state: RunState, width: int) -> list[Line]:
    """What is said where a run waits, rests or is over; its commands as they are typed here."""
    lines = ending(state, times_of(app, state), width)
    # A checkpoint is answered here, and by nobody but the person at this terminal.
    return [item for item in lines if not _answers_checkpoint(item)] if open_checkpoint(state) else lines


def _answers_checkpoint(spans: Line) -> bool:
    text = "".join(span.text for span in spans).strip()
    return text.startswith(("Approve ", "Reject ")) and "pilothouse " in text


def blocks(found: Iterable[Block], product: str, width: int) -> list[Line]:
    """What holds a product now: freezes and locks, by name."""
    lines: list[Line] = []
    for block in found:
        what = "frozen" if block.kind == "freeze" else "locked"
        until = f"until {clock(block.until, local_now())}" if block.until else "until it is unlocked"
        said = f"{product} is {what} by {safe(block.owner, 60)} ({block.id}) {until}: {safe(block.reason, 300)}"
        lines += told(sentences(said, "Rollbacks pass"), width, Tone.WAIT)
    return lines or told(f"Nothing holds {product}: no freeze, no lock.", width)
