"""The map of requirements is true in both directions: what it names exists, and what tests claim is in it."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from requirements import REQUIREMENTS

HERE = Path(__file__).resolve().parent
_ID = r"(?:INT|REL|PRO|AUD|SHP|COO|APR|RB|AGT|AUT|FACE)-\d+b?|I\d+"
_CLAIM = re.compile(rf"\b({_ID})\b(?: to ({_ID})\b)?")


@cache
def read_tests(file):
    """The tests that a file defines, and the ids that its docstrings claim, by the claiming place."""
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    documented = [("module", tree)] + [(node.name, node) for node in tree.body if isinstance(node, ast.FunctionDef)]
    return tests, {name: claimed(ast.get_docstring(node) or "") for name, node in documented}


def claimed(text):
    found = []
    for first, last in _CLAIM.findall(text):
        found.append(first)
        if last:  # "I27 to I29" claims I28, too
            family = first.rstrip("0123456789b")
            start, end = (int(re.search(r"\d+", item)[0]) for item in (first, last))
            found += [f"{family}{number}" for number in range(start + 1, end + 1)]
    return found


def modules():
    return sorted(path.relative_to(HERE).as_posix() for path in HERE.rglob("test_*.py"))


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_named_test_exists(name):
    assert REQUIREMENTS[name].tests, f"{name} has no test"
    for node in REQUIREMENTS[name].tests:
        file, _, test = node.partition("::")
        assert (HERE / file).is_file(), node
        assert test in read_tests(file)[0], node


def test_no_test_claims_an_unknown_requirement():
    unknown = [
        f"{file}::{place} claims {name}"
        for file in modules()
        for place, names in read_tests(file)[1].items()
        for name in names
        if name not in REQUIREMENTS
    ]
    assert unknown == [], "add the requirement to tests/requirements.py, or take the id out of the docstring"


def test_a_module_that_claims_a_requirement_is_among_its_proofs():
    """A claim of a whole module that the table does not know of is a proof that gets lost."""
    lost = [
        f"{file} claims {name}"
        for file in modules()
        for name in read_tests(file)[1]["module"]
        if name in REQUIREMENTS and not any(node.startswith(f"{file}::") for node in REQUIREMENTS[name].tests)
    ]
    assert lost == [], "name a test of it under that id in tests/requirements.py"


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_a_part_says_what_is_missing_and_a_whole_misses_nothing(name):
    requirement = REQUIREMENTS[name]
    assert requirement.sentence.endswith(".")
    assert bool(requirement.missing) == (requirement.state == "part")
    assert len(set(requirement.tests)) == len(requirement.tests)


def test_a_range_of_ids_claims_all_of_them():
    assert claimed("(I3, I27 to I29)") == ["I3", "I27", "I28", "I29"]
    assert claimed("REL, RB and I am") == []
