"""Approving: by a word typed on a person's channel, by an SSH signature, or by the file that policy names (APR-1 to 6).

An approval counts where the card that was shown says so and the base branch still says so: a key or a person that was
taken off the list in between approves nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pilothouse import approvalfile, config, signatures
from pilothouse.clearances import clearance, known_as, within_repository
from pilothouse.composition import toolbox
from pilothouse.engine.world import iso
from pilothouse.errors import ChainMoved, RequestRefused, RunEnded
from pilothouse.events import Aborted, Approved, CheckpointExpired, Rejected, WordDrawn, WordSpent
from pilothouse.guard import approval
from pilothouse.guard.clearance import (
    SIGNATURE,
    STANDING,
    Clearance,
    clearance_of,
    is_own,
    may_approve,
    outdated,
    statement,
)
from pilothouse.guard.fold_checkpoints import is_wrong
from pilothouse.guard.state import MAX_WORDS, CheckpointState, RunState
from pilothouse.model import Person, Refuse
from pilothouse.people import append, open_checkpoint

if TYPE_CHECKING:
    from pilothouse.events import CheckpointOpened, Fact
    from pilothouse.workspace import Workspace

_TRIES = 5  # others may append to the same chain


def approve(app: Workspace, state: RunState, who: Person, ask: Callable[[str, str], str]) -> RunState:
    """See ``app.Pilothouse.approve``. The word lives in this function's frame and nowhere else."""
    name, known, opened = _asked(app, state)
    asked_by, who = who, _cleared(app, state, name, known, who)
    now = app.clock.now()
    word = secrets.choice([item for item in approval.drawable(_last_word(app, state)) if item != state.last_word])
    until = iso(now + approval.WORD_LIFE)
    drawn = WordDrawn(name, opened.approval_digest, who.channel, until)
    state = append(app, state, drawn)
    spent = WordSpent(name, opened.approval_digest, word, "", matched=False, channel=who.channel)
    try:
        entered = ask(opened.card, word)
    except BaseException:
        # Left at the prompt: the word is spent, so that it is never drawn next time.
        _spend(app, state, drawn, spent, who)
        raise
    entered = entered or "\n"  # an empty line is a wrong entry; nothing at all is a prompt that was left
    spent = replace(spent, entered=entered[:64])
    if approval.expired(known, app.clock.now()):
        append(app, state, spent, CheckpointExpired(name, opened.approval_digest))
        raise RunEnded("checkpoint-expired", f"{name} expired at {opened.expires_at}")
    right = replace(spent, matched=True)
    if not approval.entry_matches(word, entered, until, app.clock.now()):
        return _not_matched(app, state, drawn, spent, who)
    # The person took their time: whoever was taken off the list meanwhile approves nothing.
    try:
        _cleared(app, state, name, known, asked_by)
    except BaseException:
        # Refused, or the base branch could not be read: either way the word was shown and is never drawn next time.
        _spend(app, state, drawn, right, who)
        raise
    if not approval.entry_matches(word, entered, until, app.clock.now()):
        return _not_matched(app, state, drawn, spent, who)  # the base branch was slow
    try:
        return append(app, state, right, _approved(state, name, who))
    except (ChainMoved, RequestRefused):
        _spend(app, state, drawn, spent, who)
        raise


def statement_of(state: RunState) -> bytes:
    """The bytes that an SSH signature over the open checkpoint covers. Raises RequestRefused: nothing waits."""
    name, known = open_checkpoint(state)
    assert known.opened is not None
    return statement(state.run, name, known.opened.approval_digest)


def approve_signed(app: Workspace, state: RunState, approver: str, channel: str, signature: str) -> RunState:
    """See ``app.Pilothouse.approve_signed``."""
    name, known, opened = _asked(app, state)
    who = Person(approver, channel, SIGNATURE)
    _cleared(app, state, name, known, who)
    cleared = clearance_of(opened.basis)
    person = cleared.approver(approver) if cleared else None
    signed = statement(state.run, name, opened.approval_digest)
    if person is None or not signatures.verified(signed, signature, approver, person.key):
        raise RequestRefused(
            "bad-signature", f"that is no signature of {approver} over what {state.run} shows at {name}",
            "sign what is shown now: pilothouse approve RUN --key FILE",
        )  # fmt: skip
    return append(app, state, _approved(state, name, who, signature))


def approve_scripted(app: Workspace, state: RunState, checkpoint: str) -> bool:
    """See ``app.Pilothouse.approve_scripted``."""
    known = state.checkpoints[checkpoint]
    assert known.opened is not None
    entries = approvalfile.read_from_base(app, state)
    found = approval.scripted_applies(entries, state, checkpoint, app.clock.now())
    if isinstance(found, Refuse) or not approvalfile.made_of_base(app, state):
        return False
    who = Person(found.approver, "scripted", STANDING)
    # Read again from the base branch as it is now: what was taken back there in the meantime approves nothing.
    present = _present(app, state, checkpoint)
    lately = approvalfile.read_from_base(app, state, present.source)
    if isinstance(approval.scripted_applies(lately, state, checkpoint, app.clock.now()), Refuse):
        return False
    for cleared in (clearance_of(known.opened.basis), present):
        if may_approve(cleared, known.approvals, who.identity, STANDING) is not None:
            return False
    exception = f"standing approval of {found.approver} from the approvals file, until {found.expires}"
    after = append(app, state, _approved(state, checkpoint, who, exception=exception))
    return after.checkpoints[checkpoint].approved is not None


def _asked(app: Workspace, state: RunState) -> tuple[str, CheckpointState, CheckpointOpened]:
    """The checkpoint that asks now; one whose time has run out is closed for good."""
    name, known = open_checkpoint(state)
    assert known.opened is not None
    refusal = approval.may_ask(state, name, app.clock.now())
    if refusal is not None:
        if refusal.reason_code == "checkpoint-expired":
            append(app, state, CheckpointExpired(name, known.opened.approval_digest))
            raise RunEnded(refusal.reason_code, refusal.message, refusal.hint)
        raise RequestRefused(refusal.reason_code, refusal.message, refusal.hint)
    return name, known, known.opened


def _cleared(app: Workspace, state: RunState, name: str, known: CheckpointState, who: Person) -> Person:
    """The approver that a person is, by the card and by the base branch as it is now.

    Raises:
        RequestRefused: they may not approve; no word was drawn, and nothing was recorded.
    """
    assert known.opened is not None
    shown, now = clearance_of(known.opened.basis), _present(app, state, name)
    person = Person(known_as(shown, who) if shown else who.identity, who.channel, who.authentication)
    for item in (shown, now):
        refusal = may_approve(item, known.approvals, person.identity, person.authentication)
        if refusal is not None:
            raise RequestRefused(refusal.reason_code, refusal.message, refusal.hint)
    assert shown is not None  # or nobody may approve
    changed = outdated(shown, now, (person.identity, *(given.who for given in known.approvals)))
    if changed is not None:
        raise RequestRefused(changed.reason_code, changed.message, f"{changed.hint}: pilothouse resume {state.run}")
    return person


def _present(app: Workspace, state: RunState, checkpoint: str) -> Clearance:
    started = state.started
    configuration = config.parse(started.config_source, "pilothouse.yml")
    tools = toolbox(app, configuration, started.product, state.run, state.started_at, {})
    return clearance(tools, state, checkpoint, within_repository(app.project))


def _approved(state: RunState, name: str, who: Person, signature: str = "", exception: str | None = None) -> Approved:
    opened = state.checkpoints[name].opened
    assert opened is not None
    cleared = clearance_of(opened.basis)
    if cleared and is_own(cleared, who.identity):
        told = f"{who.identity} approved what they started themselves"
        exception = f"{exception}; {told}" if exception else told
    return Approved(name, opened.approval_digest, who.identity, who.channel, who.authentication, exception, signature)


def _spend(app: Workspace, state: RunState, drawn: WordDrawn, spent: WordSpent, who: Person) -> tuple[Fact, ...]:
    """Record a word that approves nothing, and what follows from it, also where the run went on meanwhile (I15).

    Returns:
        What was recorded; nothing where that would say nothing: the card is no longer open, or the word that was right
        would void the one that somebody else has on their screen.
    """
    for _ in range(_TRIES):
        known = state.checkpoints[spent.checkpoint]
        if state.over or known.closed or known.opened is None or known.opened.approval_digest != spent.approval_digest:
            return ()
        if known.word_open not in (None, drawn) and not is_wrong(spent):
            return ()
        facts = (spent, *_follows(known, spent, who))
        try:
            append(app, state, *facts)
        except (ChainMoved, RequestRefused):
            # Somebody did something in between: the word approves nothing any more, and is spent all the same.
            state, spent = app.find(state.run), replace(spent, matched=False)
        else:
            return facts
    return ()


def _follows(known: CheckpointState, spent: WordSpent, who: Person) -> tuple[Fact, ...]:
    """What ends the run with a word: ABORT, or the last wrong one of a card that nobody has approved meanwhile."""
    if spent.entered == approval.ABORT:
        return (Aborted(who.identity, who.channel, "ABORT was entered at the checkpoint"),)
    if not known.approved and known.wrong_words + is_wrong(spent) >= MAX_WORDS:
        return (Rejected(spent.checkpoint, who.identity, who.channel, f"{MAX_WORDS} wrong words"),)
    return ()


def _not_matched(app: Workspace, state: RunState, drawn: WordDrawn, spent: WordSpent, who: Person) -> RunState:
    match _spend(app, state, drawn, spent, who):
        case ():
            raise RequestRefused("run-moved", f"{state.run} went on meanwhile", "look again: pilothouse status")
        case (_, Aborted()):
            raise RunEnded("aborted", f"{state.run} is aborted, as you asked")
        case (_, Rejected()):
            raise RunEnded("words-spent", f"{MAX_WORDS} words were entered wrongly; {state.run} is rejected")
    if spent.entered == spent.presented:
        raise RequestRefused(
            "word-late", "the word was older than 15 minutes; it is spent", "ask for a new one: approve"
        )
    left = MAX_WORDS - app.find(state.run).checkpoints[spent.checkpoint].wrong_words
    hint = f"you may ask for a new word {left} more time{'s' if left > 1 else ''}: approve again"
    raise RequestRefused("word-wrong", "that was not the word; it is spent and nothing was approved", hint)


def _last_word(app: Workspace, state: RunState) -> str:
    words = [run.last_word for run in app.runs(state.started.product) if run.last_word]
    return words[-1] if words else ""
