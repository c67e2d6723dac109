"""The playbook is shipped, and overlaid by file name with data from the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from pilothouse.errors import InvalidFile, UsageError
from pilothouse.playbook import find, review
from playbook.samples import PERSONA, WORKFLOW, spoil
from playbook.specs import RULES, SPECS, TOOL_KINDS


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_the_shipped_playbook_is_there() -> None:
    assert {"release", "rollback"} <= {found.name for found in find.list_workflows()}
    assert {found.name for found in find.list_personas()} == {
        "conductor", "data-analyst", "devops-engineer", "qa-engineer", "release-manager", "support-engineer", "technical-writer",
    }  # fmt: skip
    assert {
        f"briefs/{name}.md.j2" for name in ("readiness", "staging", "production", "rollback")
    } <= find.load_templates().keys()


def test_a_project_adds_and_replaces_by_file_name(tmp_path: Path) -> None:
    _write(tmp_path / "workflows" / "sample.yml", WORKFLOW)
    mine = _write(tmp_path / "workflows" / "release.yml", spoil(WORKFLOW, "name: sample", "name: release"))
    found = {workflow.name: workflow for workflow in find.list_workflows(tmp_path)}
    assert (found["sample"].origin, found["release"].origin, found["rollback"].origin) == (
        "project",
        "project",
        "shipped",
    )
    assert found["release"].path == mine
    assert found["release"].shown == "workflows/release.yml"
    assert review.load_checked("release", tmp_path, SPECS, RULES).title == "Sample"


def test_a_project_overlays_prompts_and_personas(tmp_path: Path) -> None:
    _write(tmp_path / "prompts" / "briefs" / "readiness.md.j2", "ours")
    _write(tmp_path / "agents" / "qa-engineer.md", PERSONA)
    assert find.load_templates(tmp_path)["briefs/readiness.md.j2"] == "ours"
    assert find.load_templates()["briefs/readiness.md.j2"] != "ours"
    assert review.load_personas(tmp_path, TOOL_KINDS)["qa-engineer"].handoffs == ("release-manager",)


def test_only_data_is_taken_from_a_project(tmp_path: Path) -> None:
    _write(tmp_path / "workflows" / "evil.py", "raise SystemExit")
    _write(tmp_path / "workflows" / ".hidden.yml", WORKFLOW)
    (tmp_path / "workflows" / "folder.yml").mkdir()
    assert {found.origin for found in find.list_workflows(tmp_path)} == {"shipped"}


@pytest.mark.parametrize("kind", ["workflows/release.yml", "agents/conductor.md", "prompts/notes.md.j2"])
def test_a_link_out_of_the_project_is_refused(tmp_path: Path, kind: str) -> None:
    outside = _write(tmp_path / "outside", "secret")
    link = tmp_path / "project" / kind
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    listing = {"workflows": find.list_workflows, "agents": find.list_personas, "prompts": find.load_templates}
    with pytest.raises(InvalidFile, match="is a link that leaves the project") as caught:
        listing[kind.split("/", maxsplit=1)[0]](tmp_path / "project")
    assert caught.value.path == kind


def test_a_folder_that_is_a_link_out_of_the_project_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "outside" / "release.yml", WORKFLOW)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "workflows").symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidFile, match="is a link that leaves the project"):
        find.list_workflows(tmp_path / "project")


def test_a_link_within_the_project_is_followed(tmp_path: Path) -> None:
    _write(tmp_path / "flows" / "sample.yml", WORKFLOW)
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "sample.yml").symlink_to(tmp_path / "flows" / "sample.yml")
    assert find.find_workflow("sample", tmp_path).text() == WORKFLOW


def test_an_unknown_workflow_is_a_usage_error_with_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        find.find_workflow("relase")
    assert caught.value.reason_code == "unknown-workflow"
    assert caught.value.hint == "did you mean 'release'?"


def test_a_review_tells_of_a_broken_file_and_goes_on(tmp_path: Path) -> None:
    _write(tmp_path / "workflows" / "sample.yml", spoil(WORKFLOW, "phases:", "phasse:"))
    _write(tmp_path / "workflows" / "well.yml", spoil(WORKFLOW, "name: sample", "name: well"))
    _write(tmp_path / "agents" / "qa-engineer.md", "no front matter")
    flows = {item.name: item for item in review.review_workflows(tmp_path, SPECS, RULES)}
    assert not flows["sample"].sound
    assert flows["sample"].problems[0].message.startswith("unknown key 'phasse'")
    assert flows["well"].sound
    agents = {item.name: item for item in review.review_personas(tmp_path, TOOL_KINDS)}
    assert not agents["qa-engineer"].sound
    assert agents["conductor"].sound
    assert agents["conductor"].title == "Conductor"
