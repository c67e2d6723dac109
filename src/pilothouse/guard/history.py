"""What every part of the fold needs: how an impossible history is refused, and how evidence is kept."""

from __future__ import annotations

from pilothouse import events as e
from pilothouse.errors import ImpossibleHistory
from pilothouse.guard.state import Evidence, RunState


def impossible(event: e.Event, why: str) -> ImpossibleHistory:
    """The refusal of an event that cannot follow."""
    return ImpossibleHistory(
        "impossible-history",
        f"{event.chain} #{event.seq} ({event.kind} of {event.run}): {why}",
        "the ledger was not written by this engine alone; look at it with: pilothouse audit verify",
    )


def new_evidence(state: RunState, event: e.Event, evidence: Evidence) -> None:
    """Keep a piece of evidence under its id, which must be new."""
    if evidence.id in state.evidence_by_id:
        raise impossible(event, f"evidence {evidence.id} exists already")
    state.evidence_by_id[evidence.id] = evidence
