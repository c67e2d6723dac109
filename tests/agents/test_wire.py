"""What goes over the wire: as many calls as turns, hardly a byte more than is needed, and a prefix that a cache can hold (AGT-6, I31)."""

from __future__ import annotations

import itertools
import json
from collections import defaultdict
from dataclasses import replace
from http.client import HTTPConnection

import pytest

from agents.sandbox import StandingClock, conducting, released, world_of
from agents.worlds import Desk, e, facts, go, toy
from llm import playing
from llm.model_server import KEY, ModelServer, Say, call, text
from llm.scenarios import again
from pilothouse.llm.anthropic import AnthropicModel
from pilothouse.settings import BUDGETS, Budget, PersonaModel


def wired(server, **changed):
    """A toy run whose agents ask this server, to its end."""
    models = server.models(**changed)
    world = toy(lambda _ask: None)
    world.thinking = Desk(AnthropicModel(models, server.environ), models)
    try:
        go(world)
    finally:
        world.thinking.brain.close()
    return world


def looking(asked):
    """Three turns: two tools at once, one more, an answer."""
    if asked.turn < 2:
        names = asked.tools[: 2 - asked.turn]
        return Say((text("I look."), *(call(name, playing.given(name, asked)) for name in names)))
    return playing.lazy(asked)


def conversations(asked):
    """Requests by the question that they go on with."""
    found = defaultdict(list)
    for request in asked:
        found[json.dumps(request.body["messages"][0])].append(request)
    return list(found.values())


def test_there_are_as_many_calls_as_turns_and_none_is_counted_far_from_a_limit():
    with ModelServer(looking) as server:
        world = wired(server)
        turns = facts(world, e.ModelAnswered)
        assert len(server.asked) == len(turns) == 15  # three verdicts, notes, and a watch, of three turns each
        assert server.counted == [] and server.refused == []
        assert [request.turn for request in server.asked] == [fact.turn for fact in turns]


def test_the_prefix_is_the_same_to_the_byte_in_all_turns_of_a_step_so_that_a_cache_hits():
    with ModelServer(looking) as server:
        world = wired(server)
        of_steps = conversations(server.asked)
        assert len(of_steps) == 5
        for requests in of_steps:
            assert len({request.prefix for request in requests}) == 1 and len(requests) == 3
            assert b'"tools":' in requests[0].prefix and b'"system":' in requests[0].prefix
            assert b'"cache_control"' in requests[0].prefix
        for fact in facts(world, e.ModelAnswered):
            assert fact.turn == 0 or fact.usage["cache_read"] > 0
        digests = {(fact.step, fact.prefix) for fact in facts(world, e.Consulted)}
        assert len(digests) == 5


def test_what_was_said_before_is_sent_again_as_it_was():
    """Each request begins with all messages of the one before: only then may the cache hold them."""
    with ModelServer(looking) as server:
        wired(server)
        for requests in conversations(server.asked):
            for before, after in itertools.pairwise(requests):
                told = before.body["messages"]
                assert after.body["messages"][: len(told)] == told


def raw(server, requests):
    """A bare loop that sends the same messages, fences, tools and schemas, as short as JSON allows."""
    sent = 0
    for request in requests:
        body = request.body
        wanted = {
            "model": body["model"], "max_tokens": body["max_tokens"], "stream": True, "system": body["system"],
            "tools": body["tools"], "messages": body["messages"], "output_config": body["output_config"],
        }  # fmt: skip
        data = json.dumps(wanted, ensure_ascii=False, separators=(",", ":")).encode()
        connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
        try:
            connection.request(
                "POST", "/v1/messages", data,
                {"authorization": f"Bearer {KEY}", "anthropic-version": "2023-06-01", "content-type": "application/json"},
            )  # fmt: skip
            assert connection.getresponse().read()
        finally:
            connection.close()
        sent += len(data)
    return sent


def test_a_request_has_hardly_more_bytes_than_a_bare_loop_would_send():
    with ModelServer(looking) as server, ModelServer(looking) as bare:
        wired(server)
        sent = sum(map(len, server.bodies))
        needed = raw(bare, server.asked)
        assert bare.bodies and not bare.refused
        assert sent <= 1.05 * needed, f"{sent} of {needed} bytes: {sent / needed:.3f}"


@pytest.mark.parametrize(("tokens", "counted"), [(10**9, False), (20_000, False), (12_000, True), (9_000, True)])
def test_tokens_are_counted_only_near_a_limit(tokens, counted):
    """A question is estimated at some 2,000 tokens, and its reply may have 8,000."""
    budgets = {**BUDGETS, "step": Budget(tokens=tokens, turns=12, seconds=60)}
    with ModelServer(playing.lazy) as server:
        world = wired(server, budgets=budgets)
        turns = facts(world, e.ModelAnswered)
        assert len(server.asked) == len(turns)
        near = [request for request in server.asked if _estimate(request) * 5 > tokens * 4]
        assert bool(server.counted) == counted == bool(near)
        assert len(server.counted) <= len(server.asked) + len(facts(world, e.FellBack))


def _estimate(request):
    body = request.body
    size = sum(len(json.dumps(body[part], ensure_ascii=False)) for part in ("messages", "tools", "system"))
    return size // 3 + 8000


def test_a_count_that_fails_leaves_the_estimate():
    budgets = {**BUDGETS, "step": Budget(tokens=8_000, turns=12, seconds=60)}
    with ModelServer(playing.lazy, lacks={"counting"}) as server:
        world = wired(server, budgets=budgets)
        assert facts(world, e.ModelAnswered) or facts(world, e.FellBack)
        assert all(request.body["max_tokens"] < 8000 for request in server.asked)


def test_what_the_sdk_asks_again_is_a_call_more_and_no_turn_more():
    from llm.model_server import Refuse

    with ModelServer(again(Refuse(529, "overloaded_error", "Overloaded"), playing.lazy)) as server:
        world = wired(server)
        assert len(server.asked) == len(facts(world, e.ModelAnswered)) + 1


def test_the_configured_model_effort_and_limits_are_those_of_the_persona():
    personas = {"release-manager": PersonaModel("claude-opus-4", "high", 4096, 3)}
    with ModelServer(playing.lazy) as server:
        wired(server, personas=personas)
        ready, notes = server.asked[0].body, server.asked[1].body
        assert (ready["model"], ready["max_tokens"], ready["output_config"]["effort"]) == (
            "claude-opus-4",
            4096,
            "high",
        )
        assert (notes["model"], "effort" in notes["output_config"]) == ("claude-sonnet-5", False)


@pytest.mark.slow
def test_the_word_of_an_approval_is_in_no_request(tmp_path, ports, monkeypatch):
    """A person types the word of an open checkpoint; the release goes wrong, and agents are asked about that."""
    monkeypatch.setattr("pilothouse.guard.approval.WORDS", ("AUTHORIZE", "ACTIVATE"))
    shown, asked_before = [], []
    unwell = "production-unhealthy"
    with ModelServer(playing.writing) as server, world_of(tmp_path / "world", ports, server, unwell) as world:
        with conducting(world, StandingClock()) as app:
            from pilothouse.app import Request, os_user

            run = app.start(Request("acme"), os_user("test"))

            def approve(_state, _checkpoint):
                def typed(_card, word):
                    shown.append(word)
                    asked_before.append(len(server.asked))
                    app.advance(run)  # somebody goes on with the run while the word lives
                    return word

                app.approve(run, os_user("terminal"), typed)
                return True

            standing = app.follow(run, approve=approve)
        assert standing.state.standing() == "rolled-back" and shown
        assert len(server.asked) > asked_before[0] > 0
        for request in server.asked:
            assert not any(word in request.said for word in ("AUTHORIZE", "ACTIVATE"))


@pytest.mark.slow
def test_a_whole_release_has_as_many_calls_as_turns_and_a_steady_prefix(tmp_path, ports):
    with ModelServer(playing.writing) as server, world_of(tmp_path / "world", ports, server) as world:
        _, standing, _, events = released(world, StandingClock())
        assert standing.state.standing() == "done"
        turns = [event for event in events if event.kind == "ModelAnswered"]
        assert len(server.asked) + len(server.counted) == len(turns)
        for requests in conversations(server.asked):
            assert len({request.prefix for request in requests}) == 1
        assert replace(BUDGETS["step"]).turns >= max(len(requests) for requests in conversations(server.asked))
