"""The fold of checkpoints: cards, words, approvals, rejections (I14, I15, I16)."""

from __future__ import annotations

from datetime import datetime

from pilothouse import events as e
from pilothouse.canonical import digest, sha256_hex
from pilothouse.guard.approval import WORDS
from pilothouse.guard.clearance import (
    SIGNATURE,
    WORDLESS,
    Clearance,
    clearance_of,
    is_own,
    may_approve,
    may_reject,
    missing,
)
from pilothouse.guard.history import impossible
from pilothouse.guard.state import MAX_WORDS, CheckpointState, RunState


def apply_checkpoint(state: RunState, event: e.Event) -> None:
    """Fold a fact about a checkpoint."""
    fact = event.fact
    name = fact.checkpoint  # type: ignore[union-attr]  # every fact of this group has it
    known = state.checkpoints.setdefault(name, CheckpointState())
    if known.closed:
        raise impossible(event, f"the checkpoint {name} is closed for good ({known.closed})")
    match fact:
        case e.CheckpointOpened():
            _open(state, event, known, fact)
        case e.CardVoided():
            _void(state, event, known, fact)
        case e.WordDrawn():
            _same_opening(event, known, fact.approval_digest)
            # A right word that opened nothing opens nothing later, either.
            known.word_open, known.word_matched = fact, False
            known.words_out += 1
        case e.WordSpent():
            _same_opening(event, known, fact.approval_digest)
            _check_word(state, event, known, fact)
            known.word_matched = fact.matched
            # Also a word that somebody else has drawn since: after a wrong one, everybody asks for a new one.
            known.word_open = None
            known.words_out -= 1
            known.wrong_words += is_wrong(fact)
            state.last_word = fact.presented
            if known.wrong_words > MAX_WORDS:
                raise impossible(event, "more words were spent than a checkpoint has")
        case e.Approved():
            _same_opening(event, known, fact.approval_digest)
            if known.approved:
                raise impossible(event, f"the checkpoint {name} is approved already")
            clearance = _check_approval(event, known, fact)
            known.approvals.append(fact)
            if not missing(clearance, known.approvals):
                known.approved = fact
            if fact.exception:
                state.exceptions.append(fact.exception)
        case e.Rejected() | e.CheckpointExpired():
            if (
                isinstance(fact, e.Rejected)
                and known.opened
                and not may_reject(clearance_of(known.opened.basis), fact.who)
            ):
                raise impossible(event, f"{fact.who} is no approver, and did not start the run")
            known.closed = "rejected" if isinstance(fact, e.Rejected) else "expired"
            state.aborted = fact


def is_wrong(fact: e.WordSpent) -> bool:
    """Whether a word counts as a wrong entry. The right one, too late, and a prompt that was left are none."""
    return not fact.matched and fact.entered not in ("", fact.presented)


def _check_word(state: RunState, event: e.Event, known: CheckpointState, fact: e.WordSpent) -> None:
    """A word was drawn before it is spent; one that opens something is of the list, the latest, new, in time."""
    if not known.words_out:
        raise impossible(event, "no word was drawn")
    if fact.presented not in WORDS:
        raise impossible(event, "what was presented is none of the words")
    if not fact.matched:
        return
    if fact.entered != fact.presented:
        raise impossible(event, "what was entered is not the word")
    if known.word_open is None:
        raise impossible(event, "the word was void: another one was spent since it was drawn")
    if fact.channel != known.word_open.channel:
        raise impossible(event, "the word was drawn on another channel")
    if datetime.fromisoformat(event.at) >= datetime.fromisoformat(known.word_open.expires_at):
        raise impossible(event, "the word had expired")
    if fact.presented == state.last_word:
        raise impossible(event, "it is the word of last time")


def _open(state: RunState, event: e.Event, known: CheckpointState, fact: e.CheckpointOpened) -> None:
    if known.opened:
        raise impossible(event, f"the checkpoint {fact.checkpoint} is open already")
    if digest(fact.basis) != fact.approval_digest:
        raise impossible(event, "the approval digest is not that of what was shown")
    if sha256_hex(fact.card.encode()) != fact.basis.get("card"):
        raise impossible(event, "the card is not the one that the approval digest covers")
    if state.plan is None or fact.basis.get("plan") != state.plan.digest:
        raise impossible(event, "the card is of another plan")
    known.opened = known.shown = fact
    known.opened_at, known.openings = event.at, known.openings + 1
    known.word_open, known.words_out, known.word_matched, known.approvals = None, 0, False, []
    state.moves.clear()  # the pins of the new opening already hold what this run moved


def _void(state: RunState, event: e.Event, known: CheckpointState, fact: e.CardVoided) -> None:
    """A card that waits is taken back: its approvals are void, and what it rested on is looked at again (I10)."""
    _same_opening(event, known, fact.approval_digest)
    if known.approved:
        raise impossible(event, "what is approved is voided by the act that it no longer fits")
    if not fact.difference:
        raise impossible(event, "nothing is said to differ")
    void_exceptions(state, known)
    known.opened, known.approvals = None, []
    known.word_open, known.words_out, known.word_matched = None, 0, False
    state.void_seq = event.seq


def void_exceptions(state: RunState, known: CheckpointState) -> None:
    """Say of the exceptions that approvals made which are void now."""
    for given in known.approvals:
        if given.exception in state.exceptions:
            index = state.exceptions.index(given.exception)
            state.exceptions[index] += " (void: something changed)"


def _check_approval(event: e.Event, known: CheckpointState, fact: e.Approved) -> Clearance:
    """An approval comes in time, from one whom the card names, by a word unless its kind has none (I14 to I16)."""
    assert known.opened is not None
    if datetime.fromisoformat(event.at) >= datetime.fromisoformat(known.opened.expires_at):
        raise impossible(event, "the card had expired")
    if fact.authentication not in WORDLESS and not known.word_matched:
        raise impossible(event, "no word was entered for it")
    if (fact.authentication == SIGNATURE) != bool(fact.signature):
        raise impossible(event, "a signature belongs to an approval that was signed, and to no other")
    clearance = clearance_of(known.opened.basis)
    refusal = may_approve(clearance, known.approvals, fact.who, fact.authentication)
    if refusal is not None or clearance is None:
        raise impossible(event, refusal.message if refusal else "nobody may approve")
    if is_own(clearance, fact.who) and not fact.exception:
        raise impossible(event, f"{fact.who} approved what they started, and it is no exception on the record")
    known.word_matched = False
    return clearance


def _same_opening(event: e.Event, known: CheckpointState, approval_digest: str) -> None:
    if known.opened is None or known.opened.approval_digest != approval_digest:
        raise impossible(event, "it names another card than the one that is open")
