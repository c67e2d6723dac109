"""A release with a model has the effects of the one without: kind, order, every argument but named texts, and shas (I2, AGT-4).

Each release is a whole one, in a real sandbox, against a real server; one scripted release is the measure of all.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from agents.sandbox import ROLLBACK, StandingClock, play, released, world_of
from llm import playing
from llm.model_server import KEY, ModelServer
from llm.scenarios import SCENARIOS
from pilothouse import events as e

pytestmark = pytest.mark.slow
EXHAUSTIVE = os.environ.get("PILOTHOUSE_CRASH") == "exhaustive"  # as the crash suite: `make crash`

# What a server plays, and whether its words are used: what is not used changes not even a text.
PLAYS = {
    "writing": (playing.writing, True),
    "lazy": (playing.lazy, True),
    "wrong": (playing.wrong, False),
    "slow": (playing.slow, True),
    "dead": ("dead", False),
}
MORE = {
    name: (SCENARIOS[name], None if name in {"hostile", "malformed-input"} else False)  # a text of these may be fit
    for name in (
        "wrong", "529", "cut-off", "no-json", "malformed-input", "refusal", "huge", "hostile", "endless", "empty",
    )
}  # fmt: skip
ALL = {**PLAYS, **({f"also {name}": value for name, value in MORE.items()} if EXHAUSTIVE else {})}


@pytest.fixture(scope="module")
def server():
    """One server for all: its address is in the product's configuration, and so in every sha."""
    with ModelServer() as running:
        yield running


def whole(folder, ports, server, *, key, rollback=False, faults=()):
    """A release, and its rollback a day later; what is there after each."""
    with world_of(folder, ports, server, *faults) as world:
        clock = StandingClock()
        options = {} if key else {"key": ""}
        found = [released(world, clock, **options)]
        if rollback:
            later = StandingClock(clock.start + timedelta(days=1))
            found.append(released(world, later, request=ROLLBACK, **options))
        return found


@pytest.fixture(scope="module")
def scripted(tmp_path_factory, ports, server):
    """The release and the rollback whose agents are scripted: the configuration is the same, the key is not there."""
    play(server, "dead")
    found = whole(tmp_path_factory.mktemp("scripted") / "world", ports, server, key="", rollback=True)
    assert server.asked == []
    (_, done, *_), (_, back, *_) = found
    assert (done.state.standing(), back.state.standing()) == ("done", "rolled-back")
    return found


def same(expected, found, *, bodies):
    for name in expected[bodies]:
        assert found[bodies][name] == expected[bodies][name], name


@pytest.mark.parametrize("name", ALL)
def test_a_release_with_a_model_has_the_effects_and_the_shas_of_one_without(name, scripted, server, tmp_path, ports):
    what, used = ALL[name]
    play(server, what)
    (_, expected_standing, expected, _), (_, _, expected_back, _) = scripted
    twice = name in PLAYS
    (_, standing, found, events), *then = whole(tmp_path / "world", ports, server, key=KEY, rollback=twice)
    assert server.asked, "the model was asked"
    assert standing.state.standing() == expected_standing.state.standing(), (standing.wait, standing.state.refused)
    same(expected, found, bodies=used is False)
    kinds = [event.fact for event in events]
    if used:
        assert not [fact for fact in kinds if isinstance(fact, e.FellBack)]
    elif used is False:
        assert [fact for fact in kinds if isinstance(fact, e.FellBack)]
    for _, back, found_back, events_back in then:
        assert back.state.standing() == "rolled-back"
        same(expected_back, found_back, bodies=used is False)
        assert [event for event in events_back if event.kind == "Consulted"] or not used
    if name == "writing":
        assert playing.WORDS in found[True]["releases"][-1][-1]  # the words are in the forge's release
        assert any(playing.WORDS in thread[-1] for thread in found_back[True]["threads"])
        assert [event for event in events_back if event.kind == "ModelAnswered"]


def test_a_hold_only_cuts_the_effects_short(scripted, server, tmp_path, ports):
    at_staging = "Is staging good enough"  # where something was done already

    def holds_there(asked):
        return (playing.holding if at_staging in asked.said else playing.lazy)(asked)

    play(server, holds_there)
    (_, _, expected, _), _ = scripted
    ((_, standing, found, _),) = whole(tmp_path / "world", ports, server, key=KEY)
    assert standing.wait.reason_code == "hold"
    acts = found[False]["acts"]
    assert acts == expected[False]["acts"][: len(acts)] and 0 < len(acts) < len(expected[False]["acts"])


@pytest.mark.skipif(not EXHAUSTIVE, reason="two whole releases more: make crash")
@pytest.mark.parametrize("fault", ["production-unhealthy", "production-errors", "migration-fails", "ci-red"])
def test_a_release_that_goes_wrong_goes_wrong_in_the_same_way(fault, server, tmp_path, ports):
    play(server, playing.writing)
    ((_, expected_standing, expected, _),) = whole(tmp_path / "one", ports, server, key="", faults=(fault,))
    ((_, standing, found, _),) = whole(tmp_path / "two", ports, server, key=KEY, faults=(fault,))
    assert standing.state.standing() == expected_standing.state.standing() and server.asked
    same(expected, found, bodies=False)
