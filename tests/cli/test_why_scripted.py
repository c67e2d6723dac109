"""Why agents are scripted although pilothouse.yml names models: said from the base branch, as the agents ask it."""

from __future__ import annotations

import json
import shutil

import pytest

from approvals.quay import CEO, RUN, Quay, policy

PLAIN = policy(CEO)
KEY = {"ANTHROPIC_API_KEY": "sk-ant-not-a-real-key-0001"}


def naming(**models):
    return PLAIN + f"models: {json.dumps({'model': 'claude-sonnet-5', **models})}\n"


@pytest.fixture
def why(tmp_path):
    """Call it with what the run started with, and what the base branch has."""

    def ask(mine, base, *, readable=True, later="", **environ):
        quay = Quay.build(tmp_path, base)
        app = quay.waiting(config=mine).app
        app.environ = {name: app.environ[name] for name in ("PATH", "HOME") if name in app.environ} | environ
        if later:
            quay.push({"pilothouse.yml": later})
        if not readable:
            shutil.rmtree(quay.origin)
        try:
            return app.why_scripted(RUN)
        finally:
            app.close()

    return ask


def test_models_of_the_working_tree_alone_are_said_to_be_nobodys(why):
    said = why(naming(), PLAIN, **KEY)
    assert said == "the base branch names no models, so every agent is scripted (push pilothouse.yml there)"


def test_a_key_that_is_missing_is_the_one_that_the_base_branch_names(why):
    said = why(naming(key_variable="MINE"), naming(), MINE="sk-ant-not-a-real-key-0002")
    assert said == "ANTHROPIC_API_KEY is not set, so every agent is scripted (docs/models.md)"


def test_nothing_is_said_where_agents_think(why):
    assert why(naming(key_variable="MINE"), naming(), **KEY) == ""


def test_a_base_branch_that_cannot_be_read_is_said_and_nothing_is_raised(why):
    said = why(naming(), naming(), readable=False, **KEY)
    assert ", so every agent is scripted" in said
    assert not said.startswith(",")


def test_a_base_branch_whose_policy_is_broken_is_said(why):
    said = why(naming(), naming(), later="version: one\n", **KEY)
    assert "pilothouse.yml" in said
    assert ", so every agent is scripted" in said


def test_where_no_models_are_named_nobody_looks_at_the_base_branch(why):
    assert why(PLAIN, naming(), readable=False) == ""
