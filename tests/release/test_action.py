"""The composite action and its examples: valid by the official schemas, and their shell does what it says (FACE-5)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pilothouse import config
from pilothouse.harbour.projectfile import Project
from release.runner import ROOT, action, run_action

EXAMPLES = ROOT / "examples" / "ci"
SCHEMAS = {
    "action.yml": ["vendor.github-actions"],
    "examples/ci/release.yml": ["vendor.github-workflows"],
    "examples/ci/resume.yml": ["vendor.github-workflows"],
    "examples/ci/promote.yml": ["vendor.github-workflows"],
    "examples/ci/gitlab-ci.yml": ["vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_it_is_valid_by_the_official_schema(name):
    tool = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
    if tool is None:
        pytest.skip("check-jsonschema is not installed")
    done = subprocess.run([tool, "--builtin-schema", *SCHEMAS[name], str(ROOT / name)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_every_example_is_looked_at():
    assert {f"examples/ci/{file.name}" for file in EXAMPLES.iterdir()} == SCHEMAS.keys() - {"action.yml"}


def test_what_a_caller_says_is_never_text_of_a_script():
    for step in action()["runs"]["steps"]:
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("name", ["release.yml", "resume.yml", "promote.yml"])
def test_an_example_uses_inputs_and_outputs_that_the_action_has(name):
    workflow = YAML(typ="safe").load(EXAMPLES / name)
    known = action()
    used = [step for job in workflow["jobs"].values() for step in job["steps"] if "/pilothouse@" in step["uses"]]
    assert used
    for step in used:
        assert step["with"].keys() <= known["inputs"].keys()
    text = (EXAMPLES / name).read_text()
    assert set(re.findall(r"steps\.pilothouse\.outputs\.([a-z-]+)", text)) <= known["outputs"].keys()
    assert workflow["concurrency"]["cancel-in-progress"] is False
    assert "pull_request" not in workflow[True if True in workflow else "on"]
    own = all(step["env"]["GH_TOKEN"] == "${{ github.token }}" for step in used)
    assert workflow["permissions"]["contents"] == ("write" if own else "read")


def test_a_promotion_pushes_with_a_token_whose_pushes_start_workflows():
    """What is pushed with ``github.token`` starts none: a deployment by one would never begin."""
    text = (EXAMPLES / "promote.yml").read_text()
    for job in YAML(typ="safe").load(text)["jobs"].values():
        (minted,) = (step for step in job["steps"] if step["uses"].startswith("actions/create-github-app-token@"))
        (used,) = (step for step in job["steps"] if "/pilothouse@" in step["uses"])
        assert used["env"]["GH_TOKEN"] == f"${{{{ steps.{minted['id']}.outputs.token }}}}"
        asked = {name.removeprefix("permission-"): level for name, level in minted["with"].items() if "-id" not in name}
        asked.pop("private-key")
        assert asked == {
            "contents": "write", "pull-requests": "read", "checks": "read", "statuses": "read", "deployments": "read",
        }  # fmt: skip
    assert "github.token" not in text


@pytest.fixture
def project(tmp_path):
    """A clone with a pilothouse.yml and nothing shipped."""
    folder = tmp_path / "clone"
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    files = Project(
        {name: f"http://127.0.0.1:{9 + number}" for number, name in enumerate(("staging", "production"))}, 1.0, False
    )
    for name, text in files.files().items():
        (folder / name).write_text(text)
    config.load(folder / "pilothouse.yml")
    return folder


def ran(project, **inputs):
    return run_action(project, {"PATH": os.environ["PATH"], "HOME": str(project.parent)}, **inputs)


@pytest.mark.parametrize(
    ("inputs", "code", "reason"),
    [
        ({"command": "status", "run": "r-1"}, 2, "no-such-run"),
        ({"command": "resume"}, 2, "no-runs"),
        ({"command": "ship", "product": "zeta"}, 2, "unknown-product"),
        ({"command": "ship", "product": "--approvals=x"}, 2, "unknown-product"),
        ({"command": "ship", "product": "acme", "version": "$(touch owned); `touch owned`"}, 2, "bad-version"),
    ],
)
def test_what_fails_fails_the_step_with_its_reason(project, inputs, code, reason):
    found = ran(project, **inputs)
    assert (found.code, found.outputs["state"], found.outputs["reason-code"]) == (code, "error", reason), found.log
    assert found.outputs["exit-code"] == str(code)
    assert "::error title=" in found.log
    assert reason in found.summary
    assert list(project.parent.rglob("owned")) == []


def test_a_command_that_is_none_is_refused_before_anything_runs(project):
    found = ran(project, command="status; touch owned")
    assert found.code == 2
    assert found.outputs == {}
    assert list(project.parent.rglob("owned")) == []


def test_the_worker_with_nothing_to_do_succeeds(project):
    found = ran(project, command="worker")
    assert (found.code, found.outputs["exit-code"]) == (0, "0"), found.log


def test_the_summary_holds_text_and_no_markup(project):
    found = ran(project, command="ship", product="<img src=x>")
    assert "<img" not in found.summary
    assert "&lt;img" in found.summary
