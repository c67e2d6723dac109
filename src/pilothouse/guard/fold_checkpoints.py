"""The fold of checkpoints: cards, words, approvals, rejections (I14, I15, I16)."""

from __future__ import annotations

from datetime import datetime

from pilothouse import events as e
from pilothouse.canonical import digest
from pilothouse.guard.history import impossible
from pilothouse.guard.state import MAX_WORDS, CheckpointState, RunState

WORDLESS = frozenset({"standing"})  # authentications that need no word: a file on the protected base says so


def apply_checkpoint(state: RunState, event: e.Event) -> None:
    """Fold a fact about a checkpoint."""
    fact = event.fact
    name = fact.checkpoint  # type: ignore[union-attr]  # every fact of this group has it
    known = state.checkpoints.setdefault(name, CheckpointState())
    if known.closed:
        raise impossible(event, f"the checkpoint {name} is closed for good ({known.closed})")
    match fact:
        case e.CheckpointOpened():
            if known.opened:
                raise impossible(event, f"the checkpoint {name} is open already")
            if digest(fact.basis) != fact.approval_digest:
                raise impossible(event, "the approval digest is not that of what was shown")
            if state.plan is None or fact.basis.get("plan") != state.plan.digest:
                raise impossible(event, "the card is of another plan")
            known.opened = known.shown = fact
            known.opened_at, known.openings = event.at, known.openings + 1
            known.word_open, known.word_matched = None, False
            state.moves.clear()  # the pins of the new opening already hold what this run moved
        case e.WordDrawn():
            _same_opening(event, known, fact.approval_digest)
            known.word_open = fact
        case e.WordSpent():
            _same_opening(event, known, fact.approval_digest)
            if known.word_open is None:
                raise impossible(event, "no word was drawn")
            if fact.matched and fact.entered != fact.presented:
                raise impossible(event, "what was entered is not the word")
            known.word_matched = fact.matched
            known.word_open = None
            # The right word, too late, and a prompt that was left are no wrong entries: the word is spent all the same.
            known.wrong_words += 0 if fact.matched or fact.entered in ("", fact.presented) else 1
            state.last_word = fact.presented
            if known.wrong_words > MAX_WORDS:
                raise impossible(event, "more words were spent than a checkpoint has")
        case e.Approved():
            _same_opening(event, known, fact.approval_digest)
            if known.approved:
                raise impossible(event, f"the checkpoint {name} is approved already")
            _check_approval(event, known, fact)
            known.approved = fact
            if fact.exception:
                state.exceptions.append(fact.exception)
        case e.Rejected() | e.CheckpointExpired():
            known.closed = "rejected" if isinstance(fact, e.Rejected) else "expired"
            state.aborted = fact


def _check_approval(event: e.Event, known: CheckpointState, fact: e.Approved) -> None:
    """An approval comes in time, and by a matched word unless it is one of the kinds that have none (I14 to I16)."""
    assert known.opened is not None
    if datetime.fromisoformat(event.at) >= datetime.fromisoformat(known.opened.expires_at):
        raise impossible(event, "the card had expired")
    if fact.authentication not in WORDLESS and not known.word_matched:
        raise impossible(event, "no word was entered for it")
    known.word_matched = False


def _same_opening(event: e.Event, known: CheckpointState, approval_digest: str) -> None:
    if known.opened is None or known.opened.approval_digest != approval_digest:
        raise impossible(event, "it names another card than the one that is open")
