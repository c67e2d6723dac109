"""What people do to a run: approve, reject, abort, resume. Each is one durable fact, appended by compare-and-swap."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from pilothouse import approvalfile
from pilothouse.engine.world import iso
from pilothouse.errors import ImpossibleHistory, RequestRefused, RunEnded, UsageError
from pilothouse.events import (
    Aborted,
    Approved,
    CheckpointExpired,
    Event,
    Fact,
    HoldLifted,
    Rejected,
    Resumed,
    Settled,
    WordDrawn,
    WordSpent,
)
from pilothouse.guard import approval
from pilothouse.guard.fold import fold, step_on
from pilothouse.guard.state import MAX_WORDS, CheckpointState, RunState
from pilothouse.model import Person, Presence, Refuse

if TYPE_CHECKING:
    from pilothouse.workspace import Workspace


def append(app: Workspace, state: RunState, *facts: Fact) -> RunState:
    """Append a person's facts where the run still is as this person saw it; the state after.

    Raises:
        ChainMoved: something happened meanwhile; look again.
    """
    from pilothouse.ports import Head

    chain = state.started.product
    head = app.journal.head(chain)
    if head.seq != state.head_seq:
        # Other runs share the chain, so only events of this run since then count as a change.
        newer = app.journal.read(chain, after=state.head_seq)
        if any(event.run == state.run for event in newer):
            raise RequestRefused("run-moved", f"{state.run} went on meanwhile", "look again: pilothouse status")
    at = iso(app.clock.now())
    _demand_possible(app, state, facts, at)
    app.journal.append(chain, state.run, facts, at, expect=Head(head.seq, head.hash))
    return app.find(state.run)


def _demand_possible(app: Workspace, state: RunState, facts: tuple[Fact, ...], at: str) -> None:
    """Refuse facts that could not be read back: whatever a person asks for, the ledger stays one that folds."""
    chain = state.started.product
    after = fold(event for event in app.journal.read(chain) if event.run == state.run)
    for number, fact in enumerate(facts, 1):
        try:
            step_on(after, Event(chain, state.head_seq + number, "", state.run, at, fact, ""))
        except ImpossibleHistory as error:
            raise RequestRefused(
                "does-not-fit", f"{state.run} is {state.standing()}: {error.message}", "see: pilothouse status"
            ) from error


def open_checkpoint(state: RunState) -> tuple[str, CheckpointState]:
    """The checkpoint that waits for a person.

    Raises:
        RequestRefused: none does.
    """
    for name, known in state.checkpoints.items():
        if known.opened is not None and known.approved is None and not known.closed and not state.over:
            return name, known
    standing = state.standing()
    raise RequestRefused("nothing-to-approve", f"{state.run} is {standing}; nothing waits for approval",
                         f"see: pilothouse status {state.run}")  # fmt: skip


def approve(app: Workspace, state: RunState, who: Person, ask: Callable[[str, str], str]) -> RunState:
    """See ``app.Pilothouse.approve``. The word lives in this function's frame and nowhere else."""
    name, known = open_checkpoint(state)
    opened = known.opened
    assert opened is not None
    now = app.clock.now()
    refusal = approval.may_ask(state, name, now)
    if refusal is not None:
        if refusal.reason_code == "checkpoint-expired":
            append(app, state, CheckpointExpired(name, opened.approval_digest))
        raise RequestRefused(refusal.reason_code, refusal.message, refusal.hint)
    word = secrets.choice(approval.drawable(_last_word(app, state)))
    until = iso(now + approval.WORD_LIFE)
    state = append(app, state, WordDrawn(name, opened.approval_digest, who.channel, until))
    try:
        entered = ask(opened.card, word)
    except BaseException:
        # Left at the prompt: the word is spent, so that it is never drawn next time.
        append(app, state, WordSpent(name, opened.approval_digest, word, "", matched=False, channel=who.channel))
        raise
    entered = entered or "\n"  # an empty line is a wrong entry; nothing at all is a prompt that was left
    if approval.expired(known, app.clock.now()):
        late = WordSpent(name, opened.approval_digest, word, entered[:64], matched=False, channel=who.channel)
        append(app, state, late, CheckpointExpired(name, opened.approval_digest))
        raise RequestRefused("checkpoint-expired", f"{name} expired at {opened.expires_at}")
    matched = approval.entry_matches(word, entered, until, app.clock.now())
    spent = WordSpent(name, opened.approval_digest, word, entered[:64], matched, who.channel)
    if matched:
        given = Approved(
            name, opened.approval_digest, who.identity, who.channel, who.authentication,
            "approved by an account that is not authenticated" if who.authentication == "unauthenticated" else None,
        )  # fmt: skip
        return append(app, state, spent, given)
    return _not_matched(app, state, name, spent, who)


def _not_matched(app: Workspace, state: RunState, name: str, spent: WordSpent, who: Person) -> RunState:
    if spent.entered == approval.ABORT:
        append(app, state, spent, Aborted(who.identity, who.channel, "ABORT was entered at the checkpoint"))
        raise RunEnded("aborted", f"{state.run} is aborted, as you asked")
    wrong = state.checkpoints[name].wrong_words + (0 if spent.entered == spent.presented else 1)
    if wrong >= MAX_WORDS:
        append(app, state, spent, Rejected(name, who.identity, who.channel, f"{MAX_WORDS} wrong words"))
        raise RunEnded("words-spent", f"{MAX_WORDS} words were entered wrongly; {state.run} is rejected")
    append(app, state, spent)
    left = MAX_WORDS - wrong
    if spent.entered == spent.presented:
        raise RequestRefused(
            "word-late", "the word was older than 15 minutes; it is spent", "ask for a new one: approve"
        )
    hint = f"you may ask for a new word {left} more time{'s' if left > 1 else ''}: approve again"
    raise RequestRefused("word-wrong", "that was not the word; it is spent and nothing was approved", hint)


def _last_word(app: Workspace, state: RunState) -> str:
    words = [run.last_word for run in app.runs(state.started.product) if run.last_word]
    return words[-1] if words else ""


def approve_scripted(app: Workspace, state: RunState, checkpoint: str) -> bool:
    """See ``app.Pilothouse.approve_scripted``."""
    known = state.checkpoints[checkpoint]
    assert known.opened is not None
    entries = approvalfile.read_from_base(app, state)
    found = approval.scripted_applies(entries, state, checkpoint, app.clock.now())
    if isinstance(found, Refuse) or not approvalfile.made_of_base(app, state):
        return False
    exception = f"standing approval of {found.approver} from the approvals file, until {found.expires}"
    append(app, state, Approved(
        checkpoint, known.opened.approval_digest, found.approver, "scripted", "standing", exception,
    ))  # fmt: skip
    return True


def reject(app: Workspace, state: RunState, who: Person, reason: str) -> RunState:
    """See ``app.Pilothouse.reject``."""
    name, _known = open_checkpoint(state)
    return append(app, state, Rejected(name, who.identity, who.channel, _reason(reason)))


def abort(app: Workspace, state: RunState, who: Person, reason: str) -> RunState:
    """See ``app.Pilothouse.abort``."""
    if state.over:
        raise RequestRefused("run-over", f"{state.run} is {state.standing()} already")
    return append(app, state, Aborted(who.identity, who.channel, _reason(reason)))


def resume(app: Workspace, state: RunState, who: Person, *, lift_hold: str, settle: str, reason: str) -> str:
    """See ``app.Pilothouse.resume``."""
    if state.over:
        raise RequestRefused("run-over", f"{state.run} is {state.standing()}; there is nothing to go on with")
    if lift_hold:
        held = state.verdicts.get(lift_hold)
        if held is None or held.answer != "hold" or lift_hold in state.lifted:
            raise UsageError("no-such-hold", f"no hold at {lift_hold!r}", f"see: pilothouse status {state.run}")
        state = append(app, state, HoldLifted(lift_hold, who.identity, who.channel, _reason(reason)))
    if settle:
        state = append(app, state, _settled(state, settle, who, _reason(reason)))
    if state.refused or state.halted:
        append(app, state, Resumed(who.identity, who.channel))
    return state.run


def _settled(state: RunState, settle: str, who: Person, reason: str) -> Settled:
    step, _, presence = settle.partition("=")
    act = state.acts.get(step)
    # Only where the run has halted: a conductor that is inside this very act records its outcome itself.
    if act is None or act.open is None or state.halted is None:
        raise UsageError(
            "nothing-to-settle", f"the act {step!r} awaits no settlement", f"see: pilothouse status {state.run}"
        )
    if presence not in {Presence.APPLIED, Presence.ABSENT}:
        raise UsageError("bad-settlement", f"{settle!r} says neither applied nor absent", f"--settle {step}=applied")
    arguments = act.open.arguments
    # What later steps refer to is what was asked for, since a person says that it is there.
    facts = {"sha": arguments["commit"], **arguments} if "commit" in arguments else dict(arguments)
    return Settled(step, presence, who.identity, who.channel, reason, facts)


def _reason(text: str) -> str:
    if not text.strip():
        raise UsageError("reason-missing", "this goes on the record and needs a reason", "add: --reason '…'")
    return text.strip()[:500]
