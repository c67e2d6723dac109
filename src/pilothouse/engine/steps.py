"""Steps that change nothing: looking at the world, drafting, judging gates, giving verdicts."""

from __future__ import annotations

from pilothouse.canonical import Json
from pilothouse.engine.plan import applies
from pilothouse.engine.world import Log, bound_of, evidence_fact, look_up
from pilothouse.errors import ToolFailed
from pilothouse.events import Judged, Observed, VerdictGiven
from pilothouse.guard.decide import gates_of
from pilothouse.guard.gates import evidence_of, judge, to_look_again
from pilothouse.guard.references import Unresolved, resolve
from pilothouse.guard.state import MAIN, Evidence, is_complete
from pilothouse.model import Finding, Kind, Observation, Step, Verdict


def arguments_of(log: Log, step: Step) -> dict[str, Json]:
    """A step's arguments, resolved now.

    Raises:
        ToolFailed: a reference is not known (the step it names was skipped or failed).
    """
    try:
        answer = look_up(log.world, log.state)
        return {name: resolve(value, answer) for name, value in step.arguments.items()}
    except Unresolved as missing:
        raise ToolFailed("reference-unknown", f"{step.id} needs {missing}, which is not known") from missing


def observe(log: Log, step: Step) -> None:
    """Call the step's observe or draft tool and record what it says as evidence.

    Raises:
        ToolFailed: it could not look.
    """
    arguments = arguments_of(log, step)
    seen = log.world.tools.observe(step.target, arguments)
    log.append(seen_as(log, step, arguments, seen))


def seen_as(log: Log, step: Step, arguments: dict[str, Json], seen: Observation) -> Observed:
    """What a step's tool said, as evidence."""
    return evidence_fact(log, step.id, step.target, _recorded(arguments), seen.facts, seen.sha, seen.summary)


def _recorded(arguments: dict[str, Json]) -> dict[str, Json]:
    # Evidence passed on whole is in the ledger already, under its own id; the ledger need not hold it twice.
    return {name: "(as recorded)" if isinstance(value, dict) else value for name, value in arguments.items()}


def evidence_for(log: Log, step: Step) -> None:
    """Look again at whatever the step's gates judge and that is too old, or failed before the last resume.

    Raises:
        ToolFailed: it could not look.
    """
    gates = gates_of(step, log.world.workflow)
    if step.asks_unless is not None:
        gates.append(log.world.workflow.gates[step.asks_unless])
    for name in to_look_again(gates, log.state, bound_of(log.world, log.state), log.world.now()):
        source = log.world.workflow.step(name)
        if source.kind in {Kind.OBSERVE, Kind.DRAFT}:
            observe(log, source)


def other_blockers(log: Log, failed: Step) -> list[str]:
    """What else stands against a run that has not acted yet, where one look failed: told all at once (REL-1).

    Goes on looking until the next verdict, and judges those of its gates whose evidence is there.
    """
    world, state = log.world, log.state
    if failed.kind is not Kind.OBSERVE or state.plan is not None or state.branch != MAIN:
        return []
    told: list[str] = []
    steps = world.workflow.steps()
    for step in steps[steps.index(failed) + 1 :]:
        if step.kind is Kind.VERDICT:
            known = [gate for gate in gates_of(step, world.workflow) if evidence_of(gate.on, log.state) is not None]
            findings = tuple(judge(gate, log.state, bound_of(world, log.state), world.now()) for gate in known)
            record_findings(log, step, findings)
            return [*told, *(finding.message for finding in findings if not finding.passed)]
        if step.kind is not Kind.OBSERVE:
            break
        if applies(step, world, log.state) is False or is_complete(step.kind, step.id, log.state):
            continue
        try:
            observe(log, step)
        except ToolFailed as failure:
            told.append(f"{step.id}: {failure.message}")
    return told


def record_findings(log: Log, step: Step, findings: tuple[Finding, ...]) -> None:
    """Write down each judgement that differs from the step's last one of that gate."""
    fresh = []
    for finding in findings:
        fact = Judged(step.id, finding.gate, finding.passed, finding.reason_code, finding.message, finding.evidence)
        if log.state.judged.get((step.id, finding.gate)) != fact:
            fresh.append(fact)
    if fresh:
        log.append(*fresh)


def scripted_verdict(log: Log, step: Step, reads: list[Evidence]) -> VerdictGiven:
    """The verdict without a model, on the evidence it reads; a citation that does not exist is refused."""
    given = log.world.personas.verdict(step, {item.id: item.facts for item in reads})
    given = _checked(given, {item.id for item in reads})
    return VerdictGiven(step.id, step.agent, given.answer, given.reasons, given.cites, given.by)


def _checked(given: Verdict, known: set[str]) -> Verdict:
    # A verdict that cites what does not exist, or that is neither go nor hold, holds: it can only ever do that.
    if not _well_formed(given):
        return Verdict("hold", ("the verdict was not usable: it is malformed",), tuple(sorted(known)), "guard")
    unknown = [cited for cited in given.cites if cited not in known]
    if given.answer in {"go", "hold"} and not unknown:
        return given
    why = f"cites unknown evidence {', '.join(unknown)}" if unknown else f"answers {given.answer!r}"
    return Verdict("hold", (f"the verdict was not usable: it {why}",), tuple(sorted(known)), given.by)


def _well_formed(given: object) -> bool:
    """Whether what an agent gave has the types of a verdict: a model's adapter may be wrong about its own output."""
    return isinstance(given, Verdict) and all(
        isinstance(item, str) for item in (given.answer, given.by)
    ) and all(
        isinstance(group, tuple) and all(isinstance(item, str) for item in group)
        for group in (given.reasons, given.cites)
    )  # fmt: skip


def facts_of(log: Log, step: str) -> dict[str, Json]:
    """The latest facts of an observed step, or nothing."""
    return log.state.facts().get(step, {})
