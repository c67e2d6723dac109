"""Which programs a release needs, whether they are there, and whether the product is one that ships (INT-5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from guard_samples import product as sample
from pilothouse.guard.bound import Bound
from pilothouse.guard.gates import RULES
from pilothouse.settings import Command, Deploy, Policy, Suite


def gate(name, facts, product):
    return RULES[name](facts, Bound(product, Policy(), "a" * 40, frozenset()))


def fake(folder, name, says, code=0):
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\nexit {code}\n", encoding="utf-8")
    file.chmod(0o755)


def looked(small, product=None, *, path="", **more):
    environ = {**small.environ, "PATH": f"{path}:{small.environ['PATH']}" if path else small.environ["PATH"]}
    return small.toolbox(product, environ=environ, **more).observe("tools.present", {}).facts


@pytest.mark.parametrize(("says", "code", "problem"), [
    ("gh version 2.20.0 (2022-11-15)", 0, ""), ("gh version 2.64.0", 0, ""), ("gh version 3.0", 0, ""),
    ("gh version 2.19.9", 0, "is 2.19.9, and 2.20 or later is needed"), ("gh version 1.99.0", 0, "or later is needed"),
    ("gh version 2.9.5", 0, "or later is needed"),
    ("gh", 0, "does not say its version"), ("gh version 2.64.0", 1, "does not say its version"),
])  # fmt: skip
def test_a_program_is_known_by_a_version_that_works(small, says, code, problem):
    fake(small.folder / "bin", "gh", says, code)
    facts = looked(small, path=str(small.folder / "bin"))
    row = next(tool for tool in facts["tools"] if tool["name"] == "gh")
    assert problem in row["problem"]
    assert bool(problem) == bool(row["problem"])
    passed, reason, message, hint = gate("tools-known", facts, small.product)
    assert passed is (not problem)
    if problem:
        assert (reason, "gh (for the forge)" in message, "doctor" in hint) == ("tools-missing", True, True)


def test_what_configured_commands_begin_with_is_needed_and_a_path_of_the_checkout_is_not(small):
    production = replace(
        small.product.environments["production"],
        deploy=Deploy("command", command=Command(("deploy-it", "now"), ("ops/look.py",))),
    )
    product = replace(
        small.product, forge=None, suites={"e2e": Suite(("python3", "-m", "unittest"))},
        environments={**small.product.environments, "production": production},
    )  # fmt: skip
    facts = looked(small, product)
    assert {tool["name"]: tool["problem"] for tool in facts["tools"]} == {
        "git": "", "python3": "", "deploy-it": "not found on the PATH",
    }  # fmt: skip


def test_signatures_need_ssh_keygen_only_where_an_approver_has_a_key(small):
    product = replace(small.product, forge=None)
    assert "ssh-keygen" not in {tool["name"] for tool in looked(small, product)["tools"]}
    assert "ssh-keygen" in {tool["name"] for tool in looked(small, product, signatures=True)["tools"]}


@pytest.mark.parametrize("facts", [{}, {"tools": []}, {"tools": "all"}, {"tools": [{"name": "git"}]}, {"tools": None}])
def test_what_is_not_known_of_the_programs_fails(facts):
    assert gate("tools-known", facts, sample())[0] is False


@pytest.mark.parametrize(("changes", "code"), [
    ({}, "ok"), ({"phase": "paused"}, "product-not-shippable"), ({"phase": "retired"}, "product-not-shippable"),
    ({"base": "nowhere"}, "base-missing"),
])  # fmt: skip
def test_only_an_active_product_with_its_branch_and_both_environments_ships(small, changes, code):
    product = replace(small.product, **changes)
    facts = small.toolbox(product).observe("product.standing", {}).facts
    assert gate("product-shippable", facts, product)[1] == code


@pytest.mark.parametrize("lacking", ["staging", "production"])
def test_a_product_without_one_of_its_environments_does_not_ship(small, lacking):
    kept = {name: item for name, item in small.product.environments.items() if name != lacking}
    product = replace(small.product, environments=kept)
    facts = small.toolbox(product).observe("product.standing", {}).facts
    passed, reason, message, _ = gate("product-shippable", facts, product)
    assert (passed, reason, lacking in message) == (False, "environment-missing", True)


@pytest.mark.parametrize("facts", [
    {}, {"product": "acme"}, {"product": "other", "phase": "active", "base": "a", "environments": ["staging", "production"]},
    {"product": "acme", "environments": ["staging", "production"], "base": "a"},
])  # fmt: skip
def test_what_is_not_known_of_the_product_fails(facts):
    assert gate("product-shippable", facts, sample())[0] is False
