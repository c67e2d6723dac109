"""workflows/*.yml: what they parse to, how they look, and that the shipped ones are sound."""

from __future__ import annotations

import re

import pytest

from pilothouse.guard.gates import RULES
from pilothouse.model import Gate, Kind, Step, Workflow
from pilothouse.playbook import workflow
from pilothouse.playbook.check import check
from pilothouse.playbook.find import list_workflows
from pilothouse.playbook.graph import mermaid
from pilothouse.playbook.problem import NOTE, Problem, errors
from pilothouse_tools.act import ACTORS
from pilothouse_tools.draft import DRAFTERS
from pilothouse_tools.observe import OBSERVERS
from playbook.samples import WORKFLOW, spoil
from playbook.specs import AGENTS, SPECS, TEMPLATES
from playbook.specs import RULES as SAMPLE_RULES

SHIPPED = {found.name: found for found in list_workflows()}


def _sample(old: str = "", new: str = "") -> Workflow:
    return workflow.parse(spoil(WORKFLOW, old, new) if old else WORKFLOW, "workflows/sample.yml")


def _check(flow: Workflow) -> tuple[Problem, ...]:
    return check(flow, SPECS, SAMPLE_RULES, AGENTS, TEMPLATES)


def test_a_step_keeps_all_that_it_says() -> None:
    deploy = _sample().step("deploy")
    assert deploy == Step(
        id="deploy",
        agent="devops-engineer",
        kind=Kind.ACT,
        target="deploy.apply",
        phase="production",
        arguments={"environment": "production", "commit": {"run": "to_sha"}, "version": {"ref": "version.version"}},
        gates=("ci-green",),
        checkpoint="go",
        on_failure="rollback",
        line=deploy.line,
    )
    assert WORKFLOW.splitlines()[deploy.line - 1].strip() == "- id: deploy"


def test_a_checkpoint_step_asks_its_question() -> None:
    go = _sample().step("go")
    assert (go.kind, go.target, go.agent, go.checkpoint) == (Kind.CHECKPOINT, "Go to production?", "conductor", None)


def test_gates_branches_and_inputs_are_read() -> None:
    flow = _sample()
    assert flow.gates["ci-green"] == Gate("ci-green", "ci-green", "ci", 900, flow.gates["ci-green"].line)
    assert flow.gates["healthy"].max_age is None
    assert flow.branches["rollback"].ends == "rolled-back"
    assert [step.id for step in flow.steps("rollback")] == ["redeploy", "loss", "restore"]
    assert flow.step("redeploy").when == {"attempted": ["deploy"]}
    assert workflow.inputs(flow)["version"] == workflow.Input("version", "text", "", "X.Y.Z", 6)


def test_a_stored_text_means_the_same_again() -> None:
    flow = _sample()
    assert workflow.parse(flow.source, flow.path) == flow


def test_stop_is_the_way_of_a_step_that_names_no_branch() -> None:
    flow = _sample(
        "        checkpoint: go\n        on_failure: rollback", "        checkpoint: go\n        on_failure: stop"
    )
    assert flow.step("deploy").on_failure is None


def test_a_class_h_act_is_a_note_not_an_error() -> None:
    flow = _sample("        act: deploy.apply\n        with: {environment: staging, commit: {run: to_sha}, version: {ref: version.version}}",
                   "        act: shell.run\n        with: {environment: staging}")  # fmt: skip
    found = _check(flow)
    assert [(problem.severity, problem.line) for problem in found] == [(NOTE, flow.step("staging").line)]
    assert "class H" in found[0].message
    assert "probe" in found[0].hint


def test_a_gate_that_nobody_has_is_a_note() -> None:
    flow = _sample("gates: [healthy], ", "")
    assert [(problem.severity, problem.line) for problem in _check(flow)] == [(NOTE, flow.gates["healthy"].line)]


def test_a_reference_to_a_step_that_may_be_left_out_is_a_note() -> None:
    flow = _sample("message: released", "message: {ref: backup.key}")
    assert [problem.severity for problem in _check(flow)] == [NOTE]


def test_a_branch_that_nothing_enters_is_a_note() -> None:
    text = WORKFLOW.replace("        on_failure: rollback\n", "").replace(", on_failure: rollback", "")
    found = _check(workflow.parse(text, "workflows/sample.yml"))
    assert [(problem.severity, problem.message) for problem in found] == [
        (NOTE, "no step fails into branch 'rollback'")
    ]


@pytest.mark.parametrize("step", ["backup", "deploy", "tag", "redeploy", "restore"])
def test_every_far_reaching_act_needs_its_cover(step: str) -> None:
    lines = WORKFLOW.split("\n")
    start = _sample().step(step).line - 1
    end = next(number for number in range(start, len(lines)) if "checkpoint: go" in lines[number])
    lines[end] = lines[end].replace(", checkpoint: go", "").replace("        checkpoint: go", "        title: bare")
    found = errors(_check(workflow.parse("\n".join(lines), "workflows/sample.yml")))
    assert [problem.line for problem in found] == [start + 1]
    assert re.search(
        rf"step '{step}' (acts on production|cannot be undone), so a checkpoint must cover it", found[0].message
    )


def test_many_findings_come_sorted_by_line() -> None:
    text = spoil(spoil(WORKFLOW, "verdict: readiness", "verdict: readyness"), "on: ci, max_age", "on: cl, max_age")
    found = errors(_check(workflow.parse(text, "workflows/sample.yml")))
    assert len(found) > 2
    assert [problem.line for problem in found] == sorted(problem.line for problem in found)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_the_shipped_workflows_are_sound_with_the_registered_tools(name: str) -> None:
    registered = {tool.spec.name: tool.spec for tool in (*OBSERVERS, *DRAFTERS, *ACTORS)}
    found = SHIPPED[name]
    flow = workflow.parse(found.text(), found.shown)
    assert errors(check(flow, registered, RULES.keys(), AGENTS, TEMPLATES)) == ()
    assert flow.summary


def test_the_sample_tools_have_only_rules_that_the_guard_has() -> None:
    assert RULES.keys() >= SAMPLE_RULES


def test_a_picture_shows_phases_checkpoints_and_dashed_branches() -> None:
    picture = mermaid(_sample())
    assert picture.startswith("flowchart TD\n")
    assert '  subgraph phase_prepare["Prepare (release-manager)"]\n' in picture
    assert '    step_go{"Go to production?"}\n' in picture
    assert '    step_deploy[["deploy<br/>deploy.apply on production"]]\n' in picture
    assert '  subgraph branch_rollback["Rollback, ends rolled-back"]\n' in picture
    assert "  step_redeploy -.-> step_loss\n" in picture
    assert "  step_deploy -. fails .-> step_redeploy\n" in picture
    assert "  class step_go checkpoint\n" in picture
    assert "  class step_redeploy,step_loss,step_restore,branch_rollback contingent\n" in picture


def test_a_picture_cannot_be_broken_out_of() -> None:
    flow = _sample('"Go to production?"', '"<b>Go\\"]; click x</b>"')
    picture = mermaid(flow)
    assert "<b>" not in picture
    assert 'Go"]' not in picture
    assert picture.count("subgraph") == picture.count("\n  end\n") + picture.count("\n    end\n")
