"""What may be done about a run that rests, is held or took its way back: the remedies that the workflow allows here.

Agents recommend among these and nothing else; a person, or the workflow, chooses (REL-14).
"""

from __future__ import annotations

from dataclasses import dataclass

from pilothouse.guard.state import RunState
from pilothouse.model import Kind, Step

_SUITE = "tests.run"  # the tool that runs one


@dataclass(frozen=True, slots=True)
class Remedy:
    """One thing to do: its id, what it means, and the command with which a person does it (or nothing)."""

    id: str
    about: str
    command: str = ""


def remedies(state: RunState, step: Step) -> tuple[Remedy, ...]:
    """The remedies there are where a run stands now.

    Args:
        state: of the run.
        step: where the trouble is.
    """
    run, product = state.run, state.started.product
    resume = f"pilothouse resume {run}"
    abort = Remedy("abort", "end this run; nothing more of it happens", f"pilothouse abort {run} --reason …")
    mend = Remedy("mend-code", "mend the code: a new commit is a new run, and it goes through every gate again")
    back = Remedy("roll-back", "bring back what production ran before", f"pilothouse rollback {product} --reason …")
    if state.over or (state.branched and not (state.refused or state.halted)):
        held = [_lift(run, step)] if step.id in state.verdicts else []
        return (*held, mend)  # the workflow has chosen the way back
    if state.halted:
        settle = Remedy(
            "settle", "say what happened to the act without an outcome, and go on", f"{resume} --settle … --reason …"
        )
        known = [settle] if state.open_act else []
        return (*known, Remedy("resume", "bring the place in order by hand, and go on", resume), back, abort)
    if state.refused:
        again = Remedy("resume", "mend what is outside of the code, and ask the gates again at the same commit", resume)
        rerun = Remedy(
            "run-again", "run what failed once more, at the same commit; what passed and is not too old stays", resume
        )
        looked = (rerun, again) if step.kind is Kind.OBSERVE or _is_red(state) else (again,)
        return (*looked, mend, *((back,) if state.production_attempted() else ()), abort)
    return (_lift(run, step), mend, abort)


def _is_red(state: RunState) -> bool:
    """Whether the refusal cites a suite that ran: a resume looks again at what failed (``gates.to_look_again``)."""
    cited = (state.evidence_by_id.get(item) for item in (state.refused.evidence if state.refused else ()))
    # One that is not configured does not run the next time either: the configuration is pinned.
    return any(item is not None and item.tool == _SUITE and item.facts.get("configured") is True for item in cited)


def _lift(run: str, step: Step) -> Remedy:
    command = f"pilothouse resume {run} --lift-hold {step.id} --reason …"
    return Remedy("lift-hold", "a person answers for going on in spite of the hold; it is an exception", command)
