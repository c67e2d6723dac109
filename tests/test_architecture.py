"""The shape of the house, shown by walking the code: one door for effects, one for decisions, one for processes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "src" / "pilothouse"
TOOLS = ROOT / "tools" / "pilothouse_tools"


def modules(*folders):
    return [
        path for folder in folders for path in sorted(folder.rglob("*.py")) if "harbour/acme" not in path.as_posix()
    ]


def calls(path, name):
    """Lines where something called ``name`` (a function, or an attribute) is called in a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ((isinstance(node.func, ast.Attribute) and node.func.attr == name)
             or (isinstance(node.func, ast.Name) and node.func.id == name))
    ]  # fmt: skip


def where(name, *folders):
    return {path.relative_to(ROOT).as_posix() for path in modules(*folders) if calls(path, name)}


def test_effects_are_applied_in_perform_and_nowhere_else():
    """``apply`` of a tool is called by perform, and by the toolbox that passes it on to the tool itself."""
    assert where("apply", ENGINE) == {"src/pilothouse/engine/perform.py"}
    # Two tools pass on to what the configuration names: a deployment model, a configured command.
    inside = {"tools/pilothouse_tools/act/deploy.py", "tools/pilothouse_tools/act/database.py"}
    assert where("apply", TOOLS) - inside == {"tools/pilothouse_tools/toolbox.py"}


def test_intents_are_written_by_perform_and_nowhere_else():
    assert where("Intended", ENGINE, TOOLS) == {"src/pilothouse/engine/perform.py"}


def test_outcomes_are_written_by_perform_and_nowhere_else():
    assert where("Done", ENGINE, TOOLS) == {"src/pilothouse/engine/perform.py", "src/pilothouse/guard/fold_acts.py"}


def test_acts_are_performed_by_advance_after_a_decision_of_the_guard():
    assert where("perform", ENGINE) == {"src/pilothouse/engine/advance.py"}
    assert where("decide", ENGINE) == {"src/pilothouse/engine/advance.py"}
    assert where("Permit", ENGINE) == {"src/pilothouse/guard/decide.py"}


def test_the_ledger_is_written_through_three_functions():
    """The engine's log, a person's facts, the start of a run, each by compare-and-swap; a product's line; what was told."""
    writers = set()
    for path in modules(ENGINE):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append"
                and isinstance(node.func.value, ast.Attribute) and node.func.value.attr == "journal"
            ):  # fmt: skip
                writers.add(path.relative_to(ENGINE).as_posix())
    assert writers == {"engine/world.py", "people.py", "starting.py", "notices.py", "locking.py"}


def test_approvals_are_written_by_people_and_nowhere_else():
    assert where("Approved", ENGINE, TOOLS) == {"src/pilothouse/approving.py"}


@pytest.mark.parametrize("name", ["Popen", "run", "check_output", "check_call", "system", "popen", "execv", "fork"])
def test_tools_start_processes_through_the_guarded_runner_only(name):
    for path in modules(TOOLS):
        if path.name == "child.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name:
                owner = node.func.value
                assert not (isinstance(owner, ast.Name) and owner.id in {"subprocess", "os"}), f"{path}:{node.lineno}"


def test_nothing_is_started_through_a_shell():
    for path in modules(ENGINE, TOOLS):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "shell":
                assert isinstance(node.value, ast.Constant), path
                assert node.value.value is False, path


def test_the_guard_has_no_clock_and_no_hands():
    for path in modules(ENGINE / "guard"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                assert node.attr not in {"now", "utcnow", "today"} or not isinstance(node.value, ast.Name), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"open", "print", "input", "eval", "exec", "compile", "__import__"}, path
