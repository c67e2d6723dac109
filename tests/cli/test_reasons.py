"""Every reason code that the source can give is explained: what it means and what to do, whole sentences both."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from cli.sample import pilothouse
from pilothouse import reasons

# Where each of these takes its reason code.
PLACE = {
    "PilothouseError": 0, "UsageError": 0, "RequestRefused": 0, "RunEnded": 0, "NothingToDo": 0, "ToolFailed": 0, "Unreachable": 0,
    "LedgerError": 0, "LedgerCorrupt": 0, "ImpossibleHistory": 0, "ChainMoved": 0, "LeaseLost": 0, "Wait": 0, "Refuse": 0,
    "Failed": 1, "Halted": 1, "Refused": 1, "Finding": 2, "_halt": 2, "Clarify": 2, "Unknown": 2, "InvalidFile": 4,
}  # fmt: skip
# Put together when they are given, so that the source does not hold them whole.
COMPOSED = {
    "watch-worse",
    "watch-no-data",
    "rollback-failed",
    "merge-by-hand-failed",
    "aborted-failed",
    "failure-failed",
}


def sources() -> Iterator[ast.Module]:
    for package in ("pilothouse", "pilothouse_tools"):
        spec = find_spec(package)
        for folder in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(folder).rglob("*.py")):
                if "harbour" not in path.parts:
                    yield ast.parse(path.read_text(encoding="utf-8"))


def constants(node: ast.expr, names: dict[str, ast.expr]) -> Iterator[str]:
    """The texts that an expression may be: a constant, a name for one, or a choice between some."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from constants(body, names)
            yield from constants(orelse, names)
        case ast.Name(id=name) if name in names and not isinstance(names[name], ast.Name):
            yield from constants(names[name], names)


def assigned(nodes: Sequence[ast.AST]) -> dict[str, ast.expr]:
    return {
        node.targets[0].id: node.value
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def given(tree: ast.Module) -> Iterator[str]:
    everywhere = assigned(tree.body)
    for scope in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))):
        names = everywhere | assigned(list(ast.walk(scope)) if isinstance(scope, ast.FunctionDef) else [])
        for node in ast.walk(scope):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                if name in PLACE:
                    named = [item.value for item in node.keywords if item.arg == "reason_code"]
                    for code in (named or node.args[PLACE[name] :])[:1]:
                        yield from constants(code, names)
            elif isinstance(node, ast.Tuple) and len(node.elts) == 4 and getattr(node.elts[0], "value", None) is False:
                yield from constants(node.elts[1], names)
            elif isinstance(node, ast.AnnAssign | ast.arg | ast.arguments):
                yield from defaults(node)


def defaults(node: ast.AST) -> Iterator[str]:
    """What a class or a function says where it is told no code."""
    if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "reason_code" and node.value:
        yield from constants(node.value, {})
    elif isinstance(node, ast.arguments) and node.defaults:
        for argument, value in zip(node.args[-len(node.defaults) :], node.defaults, strict=True):
            if argument.arg == "reason_code":
                yield from constants(value, {})


def literals() -> set[str]:
    return {
        node.value
        for tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_every_code_that_the_source_gives_is_explained() -> None:
    found = {code for tree in sources() for code in given(tree)}
    assert len(found) > 150  # the search itself works
    assert found - set(reasons.collect()) == set(), "add them to src/pilothouse/reasons.toml"


def test_no_code_is_explained_that_nothing_gives() -> None:
    assert set(reasons.collect()) - literals() - COMPOSED == set(), "take them out of src/pilothouse/reasons.toml"


@pytest.mark.parametrize("reason", reasons.collect().values(), ids=lambda reason: reason.code)
def test_a_code_is_told_in_whole_sentences_with_what_to_do(reason: reasons.Reason) -> None:
    assert reason.means.endswith(".")
    assert reason.means[0].isupper() or reason.means.startswith(("--", "state.yml"))
    assert len(reason.advice) > len("Try") or reason.code == "ok"
    assert "…" not in reason.means + reason.advice


def test_explain_says_both_and_leaves_no_gap(tmp_path: Path) -> None:
    answer = pilothouse("explain", "tests-red", cwd=tmp_path)
    assert "did not pass" in answer.out
    assert "→ Read the rest: pilothouse audit show" in answer.out
    assert "…" not in answer.out
    told = pilothouse("explain", "tests-red", "--json", cwd=tmp_path).json
    assert (told["schema"], told["reason_code"]) == ("pilothouse.explain/1", "tests-red")
    assert len(told["messages"]) == len(told["hints"]) == 1
