"""Worlds for approvals: one that stays as it is, shared, and fresh ones for whoever pushes to the base branch."""

from __future__ import annotations

import functools

import pytest

from approvals.quay import CEO, Quay, policy
from pilothouse import config


@pytest.fixture(scope="session", autouse=True)
def parsed_once():
    """Reading the same text again gives the same: hundreds of cases share a few policies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "parse", functools.cache(config.parse))
        yield


@pytest.fixture(scope="session")
def berth(tmp_path_factory):
    """Call it with a policy's text to get a remote with it; the same text gives the same one. Nobody pushes to these."""
    built = {}

    def build(text):
        if text not in built:
            built[text] = Quay.build(tmp_path_factory.mktemp("berth"), text)
        return built[text]

    return build


@pytest.fixture
def quay(berth):
    """One approver of the group ceo, whose account is carol."""
    return berth(policy(CEO))


@pytest.fixture
def fresh(tmp_path):
    """A remote of one's own, to push to."""
    return Quay.build(tmp_path, policy(CEO))
