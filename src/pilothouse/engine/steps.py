"""Steps that change nothing: looking at the world, drafting, judging gates, giving verdicts."""

from __future__ import annotations

from pilothouse.canonical import Json
from pilothouse.engine.world import Log, bound_of, evidence_fact, look_up
from pilothouse.errors import ToolFailed
from pilothouse.events import Judged, VerdictGiven
from pilothouse.guard.decide import gates_of
from pilothouse.guard.gates import to_look_again
from pilothouse.guard.references import Unresolved, resolve
from pilothouse.model import Finding, Kind, Step, Verdict


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
    log.append(evidence_fact(log, step.id, step.target, _recorded(arguments), seen.facts, seen.sha, seen.summary))


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


def record_findings(log: Log, step: Step, findings: tuple[Finding, ...]) -> None:
    """Write down each judgement that differs from the step's last one of that gate."""
    fresh = []
    for finding in findings:
        fact = Judged(step.id, finding.gate, finding.passed, finding.reason_code, finding.message, finding.evidence)
        if log.state.judged.get((step.id, finding.gate)) != fact:
            fresh.append(fact)
    if fresh:
        log.append(*fresh)


def verdict(log: Log, step: Step) -> None:
    """Let the step's agent give its verdict on the evidence it reads; a citation that does not exist is refused."""
    reads = [log.state.evidence[name] for name in step.reads if name in log.state.evidence]
    given = log.world.personas.verdict(step, {item.id: item.facts for item in reads})
    given = _checked(given, {item.id for item in reads})
    log.append(VerdictGiven(step.id, step.agent, given.answer, given.reasons, given.cites, given.by))


def _checked(given: Verdict, known: set[str]) -> Verdict:
    # A verdict that cites what does not exist, or that is neither go nor hold, holds: it can only ever do that.
    unknown = [cited for cited in given.cites if cited not in known]
    if given.answer in {"go", "hold"} and not unknown:
        return given
    why = f"cites unknown evidence {', '.join(unknown)}" if unknown else f"answers {given.answer!r}"
    return Verdict("hold", (f"the verdict was not usable: it {why}",), tuple(sorted(known)), given.by)


def facts_of(log: Log, step: str) -> dict[str, Json]:
    """The latest facts of an observed step, or nothing."""
    return log.state.facts().get(step, {})
