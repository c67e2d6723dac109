"""What may be done about a run that rests: only what its workflow allows, and what a resume really does."""

from __future__ import annotations

import pytest

from guard_samples import product
from pilothouse import events as e
from pilothouse.guard.bound import Bound
from pilothouse.guard.fold import fold
from pilothouse.guard.gates import judge, to_look_again
from pilothouse.guard.remedies import remedies
from pilothouse.model import Gate, Kind, Step
from pilothouse.settings import Policy
from story import SHA, START, chained, observed, started

SIGNOFF = Step("regression-signoff", "qa-engineer", Kind.VERDICT, "readiness", reads=("e2e", "smoke"))
GATES = [Gate(f"{suite}-passed", "suite-passed", on=suite, max_age=None) for suite in ("e2e", "smoke")]
BOUND = Bound(product(), Policy(), SHA, frozenset(), {})


def suite(name, evidence, **facts):
    facts = {"suite": name, "configured": True, "passed": True, "total": 3, "failed": 0, **facts}
    return observed(name, evidence, facts, sha=SHA, tool="tests.run")


def refused(*seen):
    """A run that rests at the sign-off, with what the guard itself says of what was seen."""
    state = fold(chained(started(), *seen))
    failed = [found for gate in GATES if not (found := judge(gate, state, BOUND, START)).passed]
    cited = tuple(item for found in failed for item in found.evidence)
    return (started(), *seen, e.Refused(SIGNOFF.id, failed[0].reason_code, failed[0].message, "", cited))


def offered(*facts, step=SIGNOFF):
    return [remedy.id for remedy in remedies(fold(chained(*facts)), step)]


RED = (suite("e2e", "e-001", passed=False, failed=1), suite("smoke", "e-002"))


def test_a_suite_that_failed_may_be_run_again_and_a_resume_runs_that_one_alone():
    facts = refused(*RED)
    assert offered(*facts) == ["run-again", "resume", "mend-code", "abort"]
    (again,) = [item for item in remedies(fold(chained(*facts)), SIGNOFF) if item.id == "run-again"]
    assert again.command == "pilothouse resume r-2026-11-21-01"
    resumed = fold(chained(*facts, e.Resumed("ceo", "t")))
    assert to_look_again(GATES, resumed, BOUND, START) == ("e2e",)


def test_a_suite_that_is_not_configured_is_not_run_again():
    assert "run-again" not in offered(*refused(suite("e2e", "e-001", configured=False, passed=False), RED[1]))


@pytest.mark.parametrize("cited", [(), ("e-999",), ("e-003",)], ids=["nothing", "what there is not", "another tool"])
def test_a_refusal_about_something_else_runs_nothing_again(cited):
    ci = observed("ci", "e-003", {"configured": True}, sha=SHA, tool="forge.ci")
    facts = (started(), *RED, ci, e.Refused(SIGNOFF.id, "ci-red", "", "", cited))
    assert offered(*facts) == ["resume", "mend-code", "abort"]


def test_a_look_that_failed_may_be_taken_again():
    facts = (started(), e.Refused("e2e", "suite-timeout", "", "", ()))
    assert offered(*facts, step=Step("e2e", "qa-engineer", Kind.OBSERVE, "tests.run"))[0] == "run-again"
