"""The seven roles: valid subagents, sound by our own lint, and honest about what they may do."""

from __future__ import annotations

import pytest

from pilothouse.playbook import persona, review
from pilothouse.playbook.find import list_personas, load_templates
from pilothouse_tools.act import ACTORS
from pilothouse_tools.draft import DRAFTERS
from pilothouse_tools.observe import OBSERVERS
from pilothouse_tools.templates import render
from playbook.samples import PERSONA
from playbook.specs import AGENTS, TEMPLATES, TOOL_KINDS

ROLES = {found.name: found for found in list_personas()}


@pytest.mark.parametrize("name", sorted(ROLES))
def test_every_shipped_role_is_sound_with_the_registered_tools(name: str) -> None:
    registered = {tool.spec.name: tool.spec.kind for tool in (*OBSERVERS, *DRAFTERS, *ACTORS)}
    found = ROLES[name]
    assert persona.lint(found.text(), found.shown, registered, AGENTS) == ()
    assert registered.keys() >= persona.UNTRUSTED


@pytest.mark.parametrize("name", sorted(ROLES))
def test_every_role_says_what_it_decides_reads_and_never_does(name: str) -> None:
    body = persona.parse(ROLES[name].text(), ROLES[name].shown).body
    assert "## You never" in body
    assert "## You read" in body
    assert "## You decide" in body
    assert "[e-" in body, "shows how evidence is cited"
    assert max(map(len, body.splitlines())) <= 130


@pytest.mark.parametrize("name", sorted(ROLES))
def test_no_role_can_change_anything(name: str) -> None:
    read = persona.parse(ROLES[name].text(), ROLES[name].shown)
    assert set(read.tools) == {"Read", "Grep", "Glob"}
    assert not read.secrets
    assert not read.state_change
    assert read.name not in read.handoffs


def test_every_role_can_hand_back_to_the_conductor() -> None:
    roles = review.load_personas(None, TOOL_KINDS)
    assert all("conductor" in role.handoffs for name, role in roles.items() if name != "conductor")
    assert set(roles["conductor"].handoffs) == set(roles) - {"conductor"}


def test_tools_may_be_written_as_a_list() -> None:
    text = PERSONA.replace("tools: Read, Grep, Glob", "tools: [Read, Grep]")
    assert persona.parse(text, "agents/qa-engineer.md").tools == ("Read", "Grep")


def test_lines_count_from_the_top_of_the_file() -> None:
    text = PERSONA.replace("You say go or hold.", "You say \u202ego")
    (found,) = persona.lint(text, "agents/qa-engineer.md", TOOL_KINDS, AGENTS)
    assert text.splitlines()[found.line - 1] == "You say \u202ego"


@pytest.mark.parametrize("brief", ["readiness", "staging", "production", "rollback"])
def test_every_brief_renders_with_and_without_evidence(brief: str) -> None:
    values = {
        "run": {
            "product": "acme",
            "from_version": "1.3.0",
            "from_sha": "a" * 40,
            "to_sha": "b" * 40,
            "version": "1.4.0",
        },
        "step": {"id": "ready", "agent": "release-manager", "title": "Ready?"},
        "evidence": [
            {
                "id": "e-001",
                "step": "ci",
                "tool": "forge.ci",
                "sha": "b" * 40,
                "at": "2026-11-21T09:00:00",
                "summary": "CI 6/6 green",
                "facts": "<facts>",
            }
        ],
        "gates": [{"gate": "ci-green", "passed": False, "message": "unit failed"}],
    }
    assert f"briefs/{brief}.md.j2" in TEMPLATES
    text = render(load_templates(), f"briefs/{brief}.md.j2", values)
    told = '<data id="e-001" from="forge.ci" trust="none">CI 6/6 green</data>\n<facts>\n'
    assert f"- e-001 (ci, forge.ci, {'b' * 40}, 2026-11-21T09:00:00): {told}" in text
    assert '- ci-green: FAILED: <data from="ci-green" trust="none">unit failed</data>\n' in text
    assert "acme" in text
    bare = render(load_templates(), f"briefs/{brief}.md.j2", {**values, "evidence": [], "gates": []})
    assert "none: that alone is a hold" in bare
