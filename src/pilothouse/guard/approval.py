"""Approvals: which word may be drawn, what counts as a right entry, what an approval covers (APR-1 to APR-3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pilothouse.canonical import Json, digest
from pilothouse.guard.state import MAX_WORDS, CheckpointState, RunState
from pilothouse.model import Refuse

WORDS = (
    "DEPLOY", "RELEASE", "SHIP", "LAUNCH", "PROMOTE", "CONFIRM", "PROCEED", "EXECUTE", "AUTHORIZE", "APPROVE",
    "PUBLISH", "DELIVER", "ACTIVATE", "ENABLE", "GO",
)  # fmt: skip
WORD_LIFE = timedelta(minutes=15)  # I15
ABORT = "ABORT"
LONG_TEXT = 200  # characters of an argument, from which on a card holds its digest


def drawable(last: str) -> tuple[str, ...]:
    """The words that may be drawn: all but the last one (APR-1). Which of them is for a CSPRNG to say."""
    return tuple(word for word in WORDS if word != last)


def may_ask(state: RunState, checkpoint: str, now: datetime) -> Refuse | None:
    """Whether a word may be drawn for a checkpoint now; None means yes."""
    known = state.checkpoints.get(checkpoint, CheckpointState())
    if state.over:
        return Refuse("run-over", f"{state.run} is {state.standing()}; nothing waits for approval")
    if known.approved:
        return Refuse("already-approved", f"{checkpoint} is approved already", "go on with: pilothouse resume")
    if known.opened is None:
        return Refuse("nothing-to-approve", f"{state.run} waits for no approval at {checkpoint}")
    if expired(known, now):
        return Refuse("checkpoint-expired", f"{checkpoint} expired at {known.opened.expires_at}")
    if known.wrong_words >= MAX_WORDS:
        return Refuse("words-spent", f"{MAX_WORDS} words were entered wrongly at {checkpoint}")
    return None


def expired(known: CheckpointState, now: datetime) -> bool:
    """Whether the checkpoint's own time (days) has run out."""
    return known.opened is not None and now >= datetime.fromisoformat(known.opened.expires_at)


def entry_matches(presented: str, entered: str, drawn_until: str, now: datetime) -> bool:
    """Whether an entry is the word, exactly and in time: no trimming, no folding, no look-alikes (APR-1)."""
    return entered == presented and now < datetime.fromisoformat(drawn_until)


def shown_value(worth: Json) -> Json:
    """An argument as an approved card holds it: long texts by their digest."""
    return {"sha256": digest(worth)} if isinstance(worth, str) and len(worth) > LONG_TEXT else worth


def approval_digest(basis: dict[str, Json]) -> str:
    """What an approval is bound to: sha256 over the canonical JSON of everything that the card rests on (APR-3)."""
    return digest(basis)


@dataclass(frozen=True, slots=True)
class ScriptedApproval:
    """One entry of the approvals file that policy names (APR-6)."""

    checkpoint: str
    product: str
    workflow: str
    approver: str
    expires: str  # ISO date or time, UTC
    standing: bool


def scripted_applies(
    entries: tuple[ScriptedApproval, ...], state: RunState, checkpoint: str, now: datetime
) -> ScriptedApproval | Refuse:
    """The standing approval that covers this checkpoint's first opening, or why there is none.

    A checkpoint that was reopened because something changed is for a person: a standing approval has not seen it.
    """
    known = state.checkpoints.get(checkpoint, CheckpointState())
    if known.openings > 1:
        return Refuse(
            "changed-since-approved", "the plan changed after its approval; a standing approval has not seen it"
        )
    for entry in entries:
        if (entry.checkpoint, entry.product, entry.workflow) != (
            checkpoint, state.started.product, state.started.workflow,
        ):  # fmt: skip
            continue
        if not entry.standing:
            continue
        if now >= datetime.fromisoformat(entry.expires):
            return Refuse("scripted-expired", f"the scripted approval of {entry.approver} ran out on {entry.expires}")
        return entry
    return Refuse("no-scripted-approval", f"no scripted approval covers {checkpoint} of {state.started.workflow}")
