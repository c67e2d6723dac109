"""The table of laws is whole and true: every law is tested or waits with a reason, and every mutant still fits."""

from __future__ import annotations

import ast
from pathlib import Path

from laws.mutants import LATER, LAWS
from laws.run_mutants import ROOT, stale
from laws.table import table

HERE = Path(__file__).resolve().parent


def test_every_law_has_a_test_and_a_mutant_or_a_reason_to_wait():
    assert set(LAWS) | set(LATER) == {f"I{number}" for number in range(1, 41)}
    assert not set(LAWS) & set(LATER)
    for sentence in [law.sentence for law in (*LAWS.values(), *LATER.values())]:
        assert sentence.endswith("."), sentence


def test_every_law_has_one_test_of_its_own_number():
    tests = [
        f"{file.name}::{node.name}"
        for file in sorted(HERE.glob("test_*.py"))
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_i")
    ]
    assert sorted(law.test for law in LAWS.values()) == sorted(tests)
    for name, law in LAWS.items():
        assert law.test.partition("::")[2].startswith(f"test_i{int(name[1:]):02d}_"), name


def test_every_mutant_fits_the_code_of_today():
    assert stale(ROOT) == []


def test_the_page_of_laws_is_up_to_date():
    assert (ROOT / "docs" / "laws.md").read_text(encoding="utf-8") == table(), (
        "python tests/laws/table.py > docs/laws.md"
    )
