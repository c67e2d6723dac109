"""Killed between any two turns, tool calls or appends: resumed without asking again for what was answered (AGT-4, I28, I31)."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections import Counter

import pytest

from agents.sandbox import section
from agents.worlds import (
    PLANNED,
    UNDO,
    Brain,
    Clock,
    Journal,
    Tools,
    about,
    call,
    e,
    effects,
    facts,
    fitting,
    go,
    reply,
    shown,
    text,
    toy,
    turn,
)
from crash.conductor import audit, ledger, resume, ship
from llm import playing
from llm.model_server import KEY, ModelServer
from pilothouse import harbour as sandbox
from pilothouse.harbour import Variant


class Killed(BaseException):
    """A kill: nothing of ours catches it."""


def talkative(ask):
    """Two tools at once, a pause, one more tool, and an answer that is handed over where there is trouble."""
    match turn(ask):
        case 0:
            return reply(
                text("I look."), call("evidence__list", identity="a"), call("evidence__read", {"id": "e-001"}, "b")
            )
        case 1:
            return reply(text("One moment."), stop="pause_turn")
        case 2:
            return reply(call("evidence__read", {"id": "e-404"}, "a"))
    passed = {"to": "qa-engineer", "reason": "not-mine", "refs": shown(ask)[:1]}
    if about(ask) == "advice" and "asked of release-manager" in ask.messages[0]["content"]:
        return reply(text(fitting(ask, handoff=passed)))
    return reply(text(fitting(ask)))


def holding(ask):
    passed = {"to": "qa-engineer", "reason": "not-mine", "refs": shown(ask)[:1]}
    if turn(ask) < 3 or about(ask) != "verdict" or " at ready, " not in ask.messages[0]["content"]:
        return talkative(ask)
    return reply(text(fitting(ask, answer="hold", handoff=passed)))


COURSES = {
    "a release": (talkative, {}, PLANNED),
    "a refusal": (talkative, {"healthy": False}, []),
    "a way back": (talkative, {"breaks": {"production/two"}}, ["stage", "one", *UNDO]),
    "a hold": (holding, {}, []),
}


class Killer:
    """Kills once, at the n-th of all moments: before and after each append, and at the boundaries of the conversation."""

    def __init__(self, at):
        self.at, self.seen, self.where = at, 0, ""
        self.lost = 0  # replies that were in hand and not written down when the kill came

    def moment(self, what, given=()):
        self.seen += 1
        if self.seen == self.at + 1:
            self.where = what
            self.lost += what == "before an append" and any(isinstance(fact, e.ModelAnswered) for fact in given)
            raise Killed


def course(name, killer=None):
    """A course of the toy world, killed once and gone on with by another conductor; its world and its model."""
    play, options, _ = COURSES[name]
    brain, journal, tools, clock = (
        Brain(play),
        Journal(),
        Tools(**{key: set(value) if isinstance(value, set) else value for key, value in options.items()}),
        Clock(),
    )
    given = {"tools": tools, "journal": journal, "clock": clock}
    world = toy(brain, **given)
    if killer is not None:
        journal.before = lambda written: killer.moment("before an append", written)
        journal.after = lambda _written: killer.moment("after an append")
        world.boundary = lambda where, _step: killer.moment(where)
    try:
        go(world)
    except Killed:
        journal.before = journal.after = None
        world = toy(brain, **given)  # another process: nothing but ledger, world and model is left
        go(world)
    return world, brain


def said(world):
    """What was told, by kind: nothing else may differ than times."""
    kept = (e.Consulted, e.ModelAnswered, e.ToolAnswered, e.VerdictGiven, e.Advised, e.HandedOff, e.FellBack)
    return [
        (type(fact).__name__, fact.step, getattr(fact, "turn", None)) for fact in facts(world) if isinstance(fact, kept)
    ]


@pytest.mark.parametrize("name", COURSES)
def test_killed_at_any_moment_nothing_is_asked_again_that_was_answered(name):
    golden, brain = course(name)
    expected_effects, expected_said, expected_asked = effects(golden), said(golden), len(brain.asked)
    assert [step for step, *_ in expected_effects] == COURSES[name][2] or name == "a way back"
    assert expected_asked == len(facts(golden, e.ModelAnswered)) >= 4
    moments, kinds = 0, set()
    while True:
        killer = Killer(moments)
        world, brain = course(name, killer)
        if not killer.where:
            break
        kinds.add(killer.where)
        told = f"{name}, killed {killer.where}, moment {moments}"
        assert len(brain.asked) == expected_asked + killer.lost, told
        turns = Counter((ask.messages[0]["content"], turn(ask)) for ask in brain.asked)
        assert sum(count - 1 for count in turns.values()) == killer.lost, told
        assert effects(world) == expected_effects and said(world) == expected_said, told
        moments += 1
    assert kinds >= {"before an append", "after an append", "after-answer", "after-tool"}
    assert moments > 4 * expected_asked


def test_of_a_conversation_without_a_ledger_everything_would_be_asked_again():
    """The count above can fail: whoever forgets asks again."""
    _, brain = course("a release", Killer(30))
    once = len(brain.asked)
    journal = Journal()
    world = toy(brain, journal=journal)
    go(world)
    assert len(brain.asked) == 2 * once - Killer(30).lost


# --- real kills -------------------------------------------------------------------------------------------------------


def answered(world):
    return [(data["step"], data["turn"]) for kind, _, data in ledger(world) if kind == "ModelAnswered"]


@pytest.mark.slow
def test_a_conductor_that_is_killed_among_its_agents_asks_nothing_again(tmp_path, ports):
    """SIGKILL while a reply is awaited, after one was written down, and between two tools; then to the end."""
    with ModelServer(playing.writing) as server:
        world = sandbox.up(tmp_path / "world", watch_seconds=1.0, ports=ports, variant=Variant(models=section(server)))
        try:
            key = {"environ": {"ANTHROPIC_API_KEY": KEY}}
            lost = [_killed_while_awaited(server, world, ship(world, **key))]
            for kind, count in (("ModelAnswered", 2), ("ToolAnswered", 1)):
                lost.append(_killed_after(server, world, resume(world, **key), kind, count))
            resume(world, **key).end(0)
            turns = answered(world)
            assert lost[0] == 1 and all(0 <= now - then <= 1 for then, now in itertools.pairwise(lost))
            assert len(server.asked) == len(turns) + lost[-1] and len(set(turns)) == len(turns) > 8
            per_talk = Counter((json.dumps(asked.body["messages"][0]), asked.turn) for asked in server.asked)
            assert sum(count - 1 for count in per_talk.values()) == lost[-1]
            assert audit(world)["ok"]
        finally:
            sandbox.down(world.folder)


def _killed_while_awaited(server, world, conductor):
    """Kill in the second turn, whose reply the server never gives; how many replies are lost by now."""
    from llm.model_server import Hang

    server.play = lambda asked: Hang() if asked.turn == 1 else playing.writing(asked)
    conductor.until(lambda: any(asked.turn == 1 for asked in server.asked), "a question of the second turn")
    conductor.kill()
    server.play = playing.writing
    return len(server.asked) - len(answered(world))


def _killed_after(server, world, conductor, kind, count):
    """Kill as soon as so many more facts of a kind are in the ledger; how many replies are lost by now."""
    before = sum(item == kind for item, *_ in ledger(world))
    conductor.until(
        lambda: sum(item == kind for item, *_ in ledger(world)) >= before + count, f"{count} more of {kind}"
    )
    os.kill(conductor.pid, signal.SIGSTOP)  # so that nothing comes in between the look and the kill
    time.sleep(0.05)
    conductor.kill()
    return len(server.asked) - len(answered(world))
