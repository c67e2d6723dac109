"""What verification tells beyond the hashes: each run folds, and each signed approval still verifies (APR-4).

A chain whose hashes fit may still have been written by somebody else from its first entry on; the guard's laws and the
approvers' own signatures are what they would have to forge besides. All of it is offline.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pilothouse import signatures
from pilothouse.errors import ImpossibleHistory, LedgerCorrupt
from pilothouse.events import PRODUCT_LINE, Approved, CheckpointOpened, Event
from pilothouse.guard.clearance import clearance_of, statement
from pilothouse.guard.fold import fold
from pilothouse.guard.product import fold_product
from pilothouse.ledger.chain import Problem


@dataclass(frozen=True, slots=True)
class Approvals:
    """The approvals of a chain: how many, how many of them signed, and what is wrong with any."""

    given: int
    signed: int
    problems: tuple[Problem, ...]


def examined(events: Iterable[Event]) -> Approvals:
    """Fold every run of a chain that holds together, and verify every signature in it."""
    runs: dict[str, list[Event]] = {}
    for event in events:
        runs.setdefault(event.run, []).append(event)
    given, signed, problems = 0, 0, []
    line = runs.pop(PRODUCT_LINE, [])
    try:
        fold_product(line)
    except ImpossibleHistory as error:
        problems.append(Problem(line[-1].seq, "impossible", error.message))
    for history in runs.values():
        try:
            fold(history)
        except ImpossibleHistory as error:
            problems.append(Problem(history[-1].seq, "impossible", error.message))
        cards: dict[str, CheckpointOpened] = {}
        for event in history:
            match event.fact:
                case CheckpointOpened() as card:
                    cards[card.approval_digest] = card
                case Approved() as approved:
                    given += 1
                    signed += bool(approved.signature)
                    if approved.signature and not _verifies(event.run, approved, cards.get(approved.approval_digest)):
                        told = f"{event.run}: the signature of {approved.who} at {approved.checkpoint} does not verify"
                        problems.append(Problem(event.seq, "bad-signature", told))
    return Approvals(given, signed, tuple(problems))


def demand_genuine(events: Iterable[Event]) -> None:
    """Refuse to act on a signed approval that does not verify: whoever can write the ledger's file can write one in.

    Raises:
        LedgerCorrupt: ``bad-signature``.
    """
    history = tuple(events)
    if any(isinstance(event.fact, Approved) and event.fact.signature for event in history):
        found = next((item.message for item in examined(history).problems if item.kind == "bad-signature"), "")
        if found:
            raise LedgerCorrupt("bad-signature", found, "somebody wrote into the ledger: pilothouse audit verify")


def _verifies(run: str, approved: Approved, card: CheckpointOpened | None) -> bool:
    cleared = clearance_of(card.basis) if card else None
    person = cleared.approver(approved.who) if cleared else None
    signed = statement(run, approved.checkpoint, approved.approval_digest)
    return person is not None and signatures.verified(signed, approved.signature, person.id, person.key)
