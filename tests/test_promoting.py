"""Where a rollback of a promoted product goes: never forward again, whatever came before (RB-3, AUD-15)."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from guard_samples import product
from pilothouse.errors import RequestRefused
from pilothouse.promoting import way_back
from pilothouse.settings import Promotion

PROMOTED = replace(product(), promotion=Promotion())


def run(name, before, after, *, workflow="promote-audited", standing="done", moved=True):
    """A run: what it went from and to, and whether it moved the base; a rollback moves it to a commit of its own."""
    sha = f"revert-to-{after}" if workflow == "rollback" else after
    done = SimpleNamespace(facts={"sha": sha}) if moved else None
    return SimpleNamespace(
        run=name, started=SimpleNamespace(workflow=workflow, from_sha=before, to_sha=after),
        acts={"promote": SimpleNamespace(done=done)}, standing=lambda: standing,
    )  # fmt: skip


def back(name, bad, good, **more):
    return run(name, bad, good, workflow="rollback", **{"standing": "rolled-back", **more})


def test_the_last_promotion_is_taken_back_to_what_it_moved_the_base_from():
    runs = [run("p1", "v1", "v2"), run("p2", "v2", "v3")]
    assert way_back(runs, PROMOTED)[1:] == ("v3", "v2")
    assert way_back(runs, product()) is None


def test_a_promotion_that_never_moved_the_base_is_not_what_is_taken_back():
    runs = [run("p1", "v1", "v2"), run("p2", "v2", "v3", moved=False, standing="aborted")]
    assert way_back(runs, PROMOTED)[1:] == ("v2", "v1")


def test_a_rollback_that_was_cut_off_is_taken_up_with_its_own_target():
    runs = [run("p1", "v1", "v2"), back("b1", "v2", "v1", standing="aborted")]
    assert way_back(runs, PROMOTED)[1:] == ("revert-to-v1", "v1")


@pytest.mark.parametrize("after", [[], [run("p2", "v1", "v3", moved=False, standing="refused")]])
def test_a_rollback_is_never_rolled_back(after):
    runs = [run("p1", "v1", "v2"), back("b1", "v2", "v1"), *after]
    with pytest.raises(RequestRefused) as refused:
        way_back(runs, PROMOTED)
    assert refused.value.reason_code == "rollback-of-rollback"


def test_where_nothing_was_promoted_there_is_nothing_to_take_back():
    with pytest.raises(RequestRefused) as refused:
        way_back([], PROMOTED)
    assert refused.value.reason_code == "nothing-to-roll-back"
