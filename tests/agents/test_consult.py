"""A conversation with an agent, turn by turn, and what comes of each odd thing a model may do (AGT-2, AGT-3, AGT-6, I31, I36, I38)."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from agents.worlds import (
    PLANNED,
    UNDO,
    Clock,
    Journal,
    Tools,
    about,
    advance,
    append,
    approve,
    call,
    effects,
    explain,
    facts,
    fitting,
    go,
    helpful,
    lazy,
    outline,
    reply,
    role_of,
    shown,
    state,
    text,
    toy,
    turn,
    workflow,
)
from pilothouse import events as e
from pilothouse.engine.persona import _CALLS
from pilothouse.errors import ImpossibleHistory, ModelFailed, ToolFailed
from pilothouse.guard.budget import Spent
from pilothouse.guard.fold import fold
from pilothouse.ports import Answer, Usage
from pilothouse.settings import BUDGETS, Budget, Models, PersonaModel, Prices
from story import chained, observed, started


def of(step, play, otherwise=lazy):
    """Play so where a step is asked, and otherwise another way."""

    def played(ask):
        return (play if f" at {step}, " in ask.messages[0]["content"] else otherwise)(ask)

    return played


def plays(*replies):
    """One reply after another, by the turn of the conversation; the last one again and again."""
    return lambda ask: found(ask) if callable(found := replies[min(turn(ask), len(replies) - 1)]) else found


def asked_at(world, step):
    return [ask for ask in world.thinking.brain.asked if f" at {step}, " in ask.messages[0]["content"]]


def fallen(world, step="ready"):
    return [fact.reason_code for fact in facts(world, e.FellBack) if fact.step == step]


def by(world, step="ready"):
    return state(world).verdicts[step].by


def steps_done(world):
    return [step for step, *_ in effects(world)]


# --- turns and tools --------------------------------------------------------------------------------------------------


def test_every_call_of_a_reply_has_its_result_in_the_next_message():
    calls = (call("evidence__list", identity="a"), call("evidence__read", {"id": "e-001"}, "b"))
    world = toy(of("ready", plays(reply(text("I look."), *calls), lazy)))
    go(world)
    first, second = asked_at(world, "ready")
    said, told = second.messages[1:]
    assert said == {"role": "assistant", "content": [text("I look."), *calls]}
    assert [(item["tool_use_id"], item["is_error"]) for item in told["content"]] == [("a", False), ("b", False)]
    assert "health.check" in told["content"][0]["content"] and '<data id="e-001"' in told["content"][1]["content"]
    assert first.messages == second.messages[:1]
    assert by(world) == "claude-sonnet-5"


def test_of_too_many_calls_the_first_are_carried_out_and_the_others_are_told_so():
    calls = [call("evidence__list", identity=f"c{number}") for number in range(20)]
    world = toy(of("ready", plays(reply(*calls), lazy)))
    go(world)
    told = [fact for fact in facts(world, e.ToolAnswered) if fact.step == "ready"]
    assert [fact.failed for fact in told] == [False] * _CALLS + [True] * (20 - _CALLS)
    assert by(world) == "claude-sonnet-5"


def test_calls_beyond_the_limit_stay_so_when_the_run_was_killed_among_them():
    calls = [call("evidence__list", identity=f"c{number}") for number in range(12)]
    killed = []

    def boundary(name, step):
        if (name, step) == ("after-tool", "ready") and len(killed) < 5:
            killed.append(step)
            raise KeyboardInterrupt

    world = toy(of("ready", plays(reply(*calls), lazy)), boundary=boundary)
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            advance("r-1", world)
    go(world)
    told = [fact for fact in facts(world, e.ToolAnswered) if fact.step == "ready"]
    assert [fact.failed for fact in told] == [False] * _CALLS + [True] * (12 - _CALLS)


@pytest.mark.parametrize(
    "odd",
    [
        call("launch_missiles", {"at": "noon"}),
        call("deploy.apply", {"environment": "production"}),
        call("set", {"environment": "production", "value": "one"}),
        call("evidence__read", {"malformed_input": "no JSON"}),
        call("evidence__read", {"id": "e-999"}),
        call("evidence__read", {"id": ["e-001"]}),
        call("evidence__read", {"id": "e-001", "start": -1}),
        call("evidence__read", {"id": "e-001", "start": True}),
        call("evidence__read", {"id": "e-001", "start": "x" * 30_000}),
        call("", {}),
        {"type": "tool_use", "id": "x", "name": "evidence__list", "input": [1, 2]},
    ],
)
def test_a_call_that_cannot_be_carried_out_is_told_so_and_the_conversation_goes_on(odd):
    world = toy(of("ready", plays(reply(odd), lazy)))
    go(world)
    (told,) = [fact for fact in facts(world, e.ToolAnswered) if fact.step == "ready"]
    assert told.failed or odd["input"] == [1, 2]  # what is no object is nothing given
    assert by(world) == "claude-sonnet-5" and steps_done(world) == PLANNED


def test_two_calls_by_one_id_are_one_call():
    twice = reply(call("evidence__list", identity="same"), call("evidence__read", {"id": "e-001"}, "same"))
    world = toy(of("ready", plays(twice, lazy)))
    go(world)
    (told,) = [fact for fact in facts(world, e.ToolAnswered) if fact.step == "ready"]
    assert told.tool == "evidence__list"
    assert steps_done(world) == PLANNED


def test_the_same_id_in_a_later_turn_is_a_call_of_its_own():
    world = toy(
        of(
            "ready",
            plays(reply(call("evidence__list", identity="same")), reply(call("evidence__list", identity="same")), lazy),
        )
    )
    go(world)
    assert [fact.turn for fact in facts(world, e.ToolAnswered) if fact.step == "ready"] == [0, 1]
    assert by(world) == "claude-sonnet-5"


def test_a_paused_turn_goes_on_from_where_it_was():
    world = toy(of("ready", plays(reply(text("One moment."), stop="pause_turn"), lazy)))
    go(world)
    first, second = asked_at(world, "ready")
    assert second.messages == (*first.messages, {"role": "assistant", "content": [text("One moment.")]})
    assert by(world) == "claude-sonnet-5"


@pytest.mark.parametrize(
    ("odd", "code"),
    [
        (reply(text("I cannot."), stop="refusal"), "model-refusal"),
        (reply(text('{"answer": "go"'), stop="max_tokens"), "model-max-tokens"),
        (reply(text("It is"), stop="model_context_window_exceeded"), "model-context-exceeded"),
        (reply(text("{}"), stop="stop_sequence"), "model-malformed"),
        (reply(text("{}"), stop="something new"), "model-malformed"),
        (reply(stop="end_turn"), "model-malformed"),
        (reply(stop="tool_use"), "model-malformed"),
        (reply(stop="pause_turn"), "model-malformed"),
        (reply(text("")), "model-malformed"),
        (reply(text("go")), "model-malformed"),
        (reply(text("[]")), "model-malformed"),
        (reply(text("null")), "model-malformed"),
        (reply(text("[" * 50_000)), "model-malformed"),
        (reply(text("9" * 10_000)), "model-malformed"),
        (ModelFailed("model-context-exceeded", "too long"), "model-context-exceeded"),
        (ModelFailed("model-unavailable", "nobody is there"), "model-unavailable"),
        (ModelFailed("model-malformed", "no stream"), "model-malformed"),
        (ModelFailed("model-credentials", "who are you?"), "model-credentials"),
    ],
)
def test_where_a_model_gives_no_answer_the_scripted_agent_goes_on_and_the_ledger_says_so(odd, code):
    world = toy(of("ready", lambda _ask: odd))
    go(world)
    assert fallen(world) == [code]
    assert by(world) == "scripted" and steps_done(world) == PLANNED


@pytest.mark.parametrize(
    "written",
    ["```json\n%s\n```", "```\n%s\n```", "  \n%s\n\n"],
)
def test_an_answer_in_a_fence_is_an_answer(written):
    world = toy(of("ready", lambda ask: reply(text(written % json.dumps(fitting(ask))))))
    go(world)
    assert by(world) == "claude-sonnet-5"


@pytest.mark.parametrize(
    "changes",
    [
        {"answer": "ship it"}, {"answer": None}, {"answer": ["go"]}, {"answer": "GO"},
        {"reasons": []}, {"reasons": "it holds"}, {"reasons": [7]}, {"reasons": ["  "]},
        {"cites": []}, {"cites": ["e-999"]}, {"cites": ["e-001", "e-999"]}, {"cites": "e-001"}, {"cites": [1]},
    ],
)  # fmt: skip
def test_a_verdict_that_is_none_falls_back_to_the_scripted_one(changes):
    world = toy(of("ready", lambda ask: reply(text(fitting(ask, **changes)))))
    go(world)
    assert fallen(world) == ["verdict-refused"]
    assert by(world) == "scripted" and steps_done(world) == PLANNED


def test_a_hold_may_cite_too_much_and_keeps_only_what_exists():
    hold = {"answer": "hold", "cites": ["e-999", "e-001"]}
    world = toy(of("ready", lambda ask: reply(text(fitting(ask, **hold)))))
    standing = go(world)
    assert standing.wait.reason_code == "hold"
    assert state(world).verdicts["ready"].cites == ("e-001",)
    assert effects(world) == []


def test_what_a_ledger_cannot_hold_is_no_answer_and_strands_no_run():
    """A lone surrogate, written as JSON may write it: it is ASCII on the wire and no text that can be stored."""
    for changes in ({"reasons": ["\ud800"]}, {"answer": "hold", "reasons": ["a \udfff b"]}):
        world = toy(of("ready", lambda ask, changes=changes: reply(text(json.dumps(fitting(ask, **changes))))))
        standing = go(world)
        assert standing.state.standing() == "done" or standing.wait.reason_code == "hold"


def test_advice_that_a_ledger_cannot_hold_strands_no_run():
    tools = Tools(healthy=False)
    world = toy(lambda ask: reply(text(json.dumps(fitting(ask, message="\ud800", plan=["\udfff"])))), tools=tools)
    assert go(world).state.standing() == "refused"


# --- budgets ----------------------------------------------------------------------------------------------------------


def budgets(**changed):
    none = Budget(tokens=10**12, turns=10**9, seconds=10**9)
    return {scope: replace(none, **changed.get(scope, {})) for scope in BUDGETS}


def endless(_ask):
    return reply(call("evidence__list"), usage=Usage(1000, 1000))


def used(world, what="tokens"):
    return [getattr(fact, what) for fact in facts(world, e.ModelAnswered)]


def test_a_persona_has_its_turns_and_no_more():
    models = Models(budgets=budgets(), personas={"release-manager": PersonaModel(turns=3)})
    world = toy(of("ready", endless), models=models)
    go(world)
    assert len(asked_at(world, "ready")) == 3
    assert fallen(world) == ["budget-spent"] and by(world) == "scripted" and steps_done(world) == PLANNED


@pytest.mark.parametrize("scope", ["step", "run", "day"])
@pytest.mark.parametrize(
    ("limit", "most"), [({"turns": 4}, 4), ({"tokens": 30_000}, 15), ({"cost": 60_000}, 4)]
)  # 2000 tokens a turn; 1000 * 3 + 1000 * 15 millionths of a dollar
def test_a_budget_that_is_spent_ends_the_conversation_and_nothing_else(scope, limit, most):
    prices = {"claude-sonnet-5": Prices(3_000_000, 15_000_000, 0, 0)}
    personas = {name: PersonaModel(turns=10**6, max_tokens=1000) for name in ("release-manager", "qa-engineer")}
    models = Models(budgets=budgets(**{scope: limit}), prices=prices, personas=personas)
    world = toy(of("ready", endless), models=models)
    go(world)
    assert 1 <= len(asked_at(world, "ready")) <= most
    assert fallen(world) == ["budget-spent"] and by(world) == "scripted" and steps_done(world) == PLANNED
    for what, held in limit.items():  # a step's budget is the step's; a run's and a day's are everybody's
        of_scope = [fact for fact in facts(world, e.ModelAnswered) if scope != "step" or fact.step == "ready"]
        assert (len(of_scope) if what == "turns" else sum(getattr(fact, what) for fact in of_scope)) <= held
    if scope == "step":
        assert len(world.thinking.brain.asked) > len(asked_at(world, "ready"))


def test_what_other_runs_used_up_today_counts():
    spent = Spent(turns=1200)
    world = toy(lazy, today=spent)
    go(world)
    assert world.thinking.brain.asked == [] and steps_done(world) == PLANNED
    assert {fact.reason_code for fact in facts(world, e.FellBack)} == {"budget-spent"}


def test_time_counts_and_a_turn_may_take_no_longer_than_is_left(monkeypatch):
    from pilothouse.engine import persona

    now = [0.0]
    monkeypatch.setattr(persona, "monotonic", lambda: now[0])

    def slow(ask):
        now[0] += 40
        return endless(ask)

    world = toy(of("ready", slow), models=Models(budgets=budgets(step={"seconds": 100})))
    go(world)
    assert [ask.seconds for ask in asked_at(world, "ready")] == [100, 60, 20]
    assert fallen(world) == ["budget-spent"]


def test_an_endpoint_that_says_it_cost_nothing_is_counted_by_what_was_sent():
    free = reply(call("evidence__list"), usage=Usage(0, 0))
    world = toy(
        of("ready", lambda _ask: free),
        models=Models(
            budgets=budgets(step={"tokens": 30_000}),
            personas={"release-manager": PersonaModel(turns=10**6, max_tokens=500)},
        ),
    )
    go(world)
    assert len(asked_at(world, "ready")) < 30
    assert fallen(world) == ["budget-spent"]


def test_a_reply_has_only_the_tokens_that_are_left():
    models = Models(
        budgets=budgets(step={"tokens": 20_000}), personas={"release-manager": PersonaModel(turns=99, max_tokens=8000)}
    )
    world = toy(of("ready", endless), models=models)
    go(world)
    asked = asked_at(world, "ready")
    assert asked[0].max_tokens == 8000 and asked[-1].max_tokens < 8000
    assert sum(used(world)[: len(asked)]) <= 20_000


# --- what changes meanwhile -------------------------------------------------------------------------------------------


def test_a_persona_that_changed_in_the_middle_of_a_conversation_is_asked_no_more():
    now = [role_of]

    def present(agent):
        return now[0](agent)

    def changed(ask):
        now[0] = lambda agent: replace(role_of(agent), text="Approve everything.")
        return reply(call("evidence__list"))

    killed = []

    def boundary(name, step):
        if name == "after-tool" and not killed:
            killed.append(step)
            raise KeyboardInterrupt

    world = toy(of("ready", changed), boundary=boundary, roles=present)
    with pytest.raises(KeyboardInterrupt):
        advance("r-1", world)
    go(world)
    assert fallen(world) == ["persona-changed"] and len(asked_at(world, "ready")) == 1
    assert by(world) == "scripted" and steps_done(world) == PLANNED


def test_a_notice_that_is_written_while_a_reply_is_in_hand_loses_nothing():
    """The reply is kept, and nothing that was answered is asked again."""
    world = None

    def meanwhile(ask):
        world.journal.append(
            "acme", "r-1", [e.Notified("started", "console", True, "")], "2026-11-21T09:00:01.000000+00:00"
        )
        return helpful(ask)

    world = toy(meanwhile)
    go(world)
    turns = [(fact.step, fact.turn) for fact in facts(world, e.ModelAnswered)]
    assert len(world.thinking.brain.asked) == len(turns) == len(set(turns)) > 8
    assert facts(world, e.FellBack) == [] and steps_done(world) == PLANNED


def test_what_somebody_appends_at_any_moment_makes_nobody_ask_again():
    journal, busy = Journal(), []

    def before(given):
        fact = given[0]
        if (
            isinstance(fact, (e.VerdictGiven, e.Observed, e.Advised, e.ModelAnswered, e.ToolAnswered, e.Consulted))
            and not busy
        ):
            busy.append(fact)
            journal.append("acme", "r-1", [e.Notified("x", "console", True, "")], "2026-11-21T09:00:01.000000+00:00")
            busy.clear()

    def once(given):  # each batch is disturbed once, not for ever
        key = type(given[0]), getattr(given[0], "step", ""), getattr(given[0], "turn", 0)
        if key not in seen:
            seen.add(key)
            before(given)

    seen = set()
    journal.before = once
    world = toy(helpful, journal=journal)
    go(world)
    turns = [(fact.step, fact.turn) for fact in facts(world, e.ModelAnswered)]
    assert len(world.thinking.brain.asked) == len(turns) == len(set(turns))
    assert steps_done(world) == PLANNED


def test_a_run_that_is_aborted_while_a_reply_is_in_hand_is_over():
    world = None

    def meanwhile(ask):
        if turn(ask) == 0:
            append(world, e.Aborted("ceo", "t", "enough"))
        return helpful(ask)

    world = toy(meanwhile)
    assert advance("r-1", world).state.standing() == "aborted"
    assert len(world.thinking.brain.asked) == 1 and effects(world) == []


def test_a_run_that_is_resumed_while_it_is_being_explained_goes_on_and_the_old_advice_is_given_up():
    tools, once = Tools(healthy=False), []

    def meanwhile(ask):
        if about(ask) == "advice" and not once:
            once.append(ask)
            tools.healthy = True
            append(world, e.Resumed("ceo", "t"))
        return lazy(ask)

    world = toy(meanwhile, tools=tools)
    assert go(world).state.refused is None  # whoever explains sees that somebody has resumed it
    assert go(world).state.standing() == "done"
    assert once and steps_done(world) == PLANNED


def test_a_hold_that_is_lifted_while_it_is_being_explained_is_lifted_and_the_advice_is_given_up():
    def meanwhile(ask):
        if about(ask) == "verdict" and " at ready, " in ask.messages[0]["content"]:
            passed = {"to": "qa-engineer", "reason": "failing-tests", "refs": shown(ask)[:1]}
            return reply(text(fitting(ask, answer="hold", handoff=passed)))
        if about(ask) == "advice" and not state(world).lifted:
            append(world, e.HoldLifted("ready", "ceo", "t", "I know"))
        return lazy(ask)

    world = toy(meanwhile)
    go(world)
    assert go(world).state.standing() == "done" and steps_done(world) == PLANNED
    assert [fact.about for fact in facts(world, e.Advised)] == ["watch"] and not state(world).consultations


@pytest.mark.parametrize("how", ["outage", "kill"])
def test_trouble_in_the_middle_of_a_conversation_is_explained_and_the_conversation_begins_anew_after_it(how):
    """While a verdict was waited for, its evidence grew old, and what is found now fails the gate."""
    tools, clock, broken = Tools(), Clock(), []

    def play(ask):
        if about(ask) == "verdict" and turn(ask) == 1 and not broken:
            broken.append(ask)
            return DOWN if how == "outage" else KeyboardInterrupt()
        return helpful(ask)

    world = toy(play, tools=tools, clock=clock, models=Models(outage="wait"))
    if how == "outage":
        assert advance("r-1", world).wait.reason_code == "model-unavailable"
    else:
        with pytest.raises(KeyboardInterrupt):
            advance("r-1", world)
    clock.jump(1000)
    tools.healthy = False
    assert go(world).state.standing() == "refused"
    (advice,) = facts(world, e.Advised)
    assert (advice.step, advice.about) == ("ready", "advice")
    tools.healthy = True
    append(world, e.Resumed("ceo", "t"))
    assert go(world).state.standing() == "done" and steps_done(world) == PLANNED
    assert by(world) == "claude-sonnet-5"


# --- an outage --------------------------------------------------------------------------------------------------------


DOWN = ModelFailed("model-unavailable", "nobody is there")


def test_an_outage_makes_a_run_wait_where_policy_says_so_and_goes_on_without_asking_again_what_was_answered():
    is_down = [False]

    def play(ask):
        if turn(ask) == 1 and not asked_again:
            asked_again.append(ask)
            is_down[0] = True
        return DOWN if is_down[0] else helpful(ask)

    asked_again = []
    world = toy(play, models=Models(outage="wait"))
    standing = advance("r-1", world)
    assert standing.wait.reason_code == "model-unavailable"
    assert datetime.fromisoformat(standing.wait.until) > world.clock.time
    assert advance("r-1", world).wait.reason_code == "model-unavailable"  # still
    assert fallen(world) == [] and effects(world) == []
    is_down[0] = False
    go(world)
    turns = [(fact.step, fact.turn) for fact in facts(world, e.ModelAnswered)]
    assert len(turns) == len(set(turns)) and by(world) == "claude-sonnet-5" and steps_done(world) == PLANNED
    assert sum(turn(ask) == 0 for ask in asked_at(world, "ready")) == 1


def test_an_outage_goes_on_with_the_scripted_agents_where_policy_says_that_and_nobody_is_asked_for_ever():
    world = toy(lambda _ask: DOWN)
    go(world)
    assert len(world.thinking.brain.asked) == 2  # and no more until somebody resumes the run
    assert steps_done(world) == PLANNED


def test_an_outage_after_production_was_touched_makes_nobody_wait():
    def play(ask):
        return (
            DOWN
            if " at verified, " in ask.messages[0]["content"] or " at watch, " in ask.messages[0]["content"]
            else lazy(ask)
        )

    world = toy(play, models=Models(outage="wait"))
    standing = go(world)
    assert standing.state.standing() == "done" and steps_done(world) == PLANNED
    assert fallen(world, "verified") == ["model-unavailable"]


def test_a_draft_on_the_way_back_waits_for_no_model():
    def play(ask):
        return DOWN if " at story, " in ask.messages[0]["content"] else lazy(ask)

    tools = Tools(breaks={"production/two"})
    world = toy(play, models=Models(outage="wait"), tools=tools)
    assert go(world).state.standing() == "rolled-back"
    assert fallen(world, "story") == ["model-unavailable"]


def test_where_nobody_can_be_asked_nobody_fell_back():
    world = toy(lazy, models=ToolFailed("model-credentials", "no key"))
    go(world)
    assert facts(world, e.FellBack) == [] == facts(world, e.Consulted) and steps_done(world) == PLANNED


# --- drafts -----------------------------------------------------------------------------------------------------------


def test_the_words_of_an_agent_go_into_the_text_body_and_nowhere_else():
    world = toy(lazy)
    go(world)
    published = next(fact for fact in facts(world, e.Intended) if fact.step == "publish")
    assert published.arguments["body"] == "notes: Filters are saved"


@pytest.mark.parametrize(
    "said",
    [
        {"headline": "see http://evil.test"},
        {"headline": 7},
        {},
        {"headline": "#99 is in"},
        {"headline": "x" * 5000},
        {"headline": "\ud800", "more": 2**60},
    ],
)
def test_a_draft_that_is_refused_leaves_the_templates_text(said):
    world = toy(of("notes", lambda _ask: reply(text(json.dumps(said)))))
    go(world)
    published = next(fact for fact in facts(world, e.Intended) if fact.step == "publish")
    assert published.arguments["body"] == "plain notes"
    assert fallen(world, "notes") in (["draft-refused"], ["model-malformed"])


# --- advice -----------------------------------------------------------------------------------------------------------


def test_a_refused_run_is_explained_once_and_only_with_remedies_that_there_are():
    tools = Tools(healthy=False)
    world = toy(lambda ask: reply(text(fitting(ask, recommends="roll-back", plan=["run it again"]))), tools=tools)
    assert go(world).state.standing() == "refused"
    go(world)
    (advice,) = facts(world, e.Advised)
    assert (advice.step, advice.agent, advice.recommends, advice.plan) == (
        "ready",
        "release-manager",
        "",
        ("run it again",),
    )
    assert len(world.thinking.brain.asked) == 1
    append(world, e.Resumed("ceo", "t"))
    go(world)
    assert len(facts(world, e.Advised)) == 2  # after a resume the trouble is another one


def test_a_recommended_remedy_is_one_of_those_that_were_shown():
    world = toy(lambda ask: reply(text(fitting(ask, recommends="resume"))), tools=Tools(healthy=False))
    go(world)
    (advice,) = facts(world, e.Advised)
    (ask,) = world.thinking.brain.asked
    offered = ask.answer["properties"]["recommends"]["enum"]
    assert advice.recommends == "resume" and {"resume", "abort", "none"} <= set(offered) and "roll-back" not in offered


@pytest.mark.parametrize(
    "changes",
    [{"cites": ["e-999"]}, {"kind": "act of god"}, {"severity": "apocalyptic"}, {"message": ""}, {"message": 7}],
)
def test_advice_that_is_none_is_not_given(changes):
    world = toy(lambda ask: reply(text(fitting(ask, **changes))), tools=Tools(healthy=False))
    assert go(world).state.standing() == "refused"
    assert facts(world, e.Advised) == [] and fallen(world) == ["advice-refused"]


def test_what_went_wrong_is_explained_on_the_way_back_when_production_is_good_again():
    world = toy(lazy, tools=Tools(breaks={"production/two"}))
    assert go(world).state.standing() == "rolled-back"
    (advice,) = facts(world, e.Advised)
    order = [type(fact).__name__ for fact in facts(world)]
    assert advice.step == "two" and order.index("Advised") > max(at for at, kind in enumerate(order) if kind == "Done")


def test_a_watch_that_was_called_fine_and_then_turned_worse_is_explained_all_the_same():
    tools = Tools()

    def play(ask):
        if " at watch, " in ask.messages[0]["content"] and about(ask) == "advice":
            tools.errors += 10_000
        return lazy(ask)

    world = toy(play, tools=tools)
    assert go(world).state.standing() == "rolled-back"
    assert [(fact.step, fact.about) for fact in facts(world, e.Advised)] == [("watch", "watch"), ("watch", "advice")]


# --- handoffs ---------------------------------------------------------------------------------------------------------


def handing(*route):
    """Each of the route hands over to the next one."""
    then = dict(itertools.pairwise(route))

    def play(ask):
        agent = ask.messages[0]["content"].split("asked of ")[1].split()[0]
        passed = {"to": then[agent], "reason": "not-mine", "refs": shown(ask)[:1]} if agent in then else None
        return reply(text(fitting(ask, handoff=passed)))

    return play


def test_a_question_is_handed_over_along_the_edges_of_the_roles():
    world = toy(handing("release-manager", "qa-engineer", "devops-engineer"), tools=Tools(healthy=False))
    go(world)
    passed = [(fact.giver, fact.receiver) for fact in facts(world, e.HandedOff)]
    assert passed == [("release-manager", "qa-engineer"), ("qa-engineer", "devops-engineer")]
    assert [fact.agent for fact in facts(world, e.Advised)] == ["release-manager", "qa-engineer", "devops-engineer"]


def test_a_question_is_handed_over_three_times_at_most_and_never_in_a_circle():
    agents = ("release-manager", "qa-engineer", "devops-engineer", "support-engineer", "data-analyst")

    def anybody(agent):
        return replace(role_of(agent), handoffs=tuple(name for name in agents if name != agent))

    world = toy(handing(*agents), tools=Tools(healthy=False), roles=anybody)
    go(world)
    assert len(facts(world, e.HandedOff)) == 3 and len(facts(world, e.Advised)) == 4
    world = toy(handing("release-manager", "qa-engineer", "release-manager"), tools=Tools(healthy=False), roles=anybody)
    go(world)
    assert len(world.thinking.brain.asked) == 2


@pytest.mark.parametrize(
    "passed",
    [
        {"to": "release-manager", "reason": "not-mine", "refs": []}, {"to": "ceo", "reason": "not-mine", "refs": []},
        {"to": "qa-engineer", "reason": "because I say so", "refs": []},
        {"to": "qa-engineer", "reason": "not-mine", "refs": ["e-999"]}, {"to": ["qa-engineer"]}, "qa-engineer", {},
    ],
)  # fmt: skip
def test_a_handoff_that_does_not_stand_is_none_and_the_answer_stays(passed):
    world = toy(lambda ask: reply(text(fitting(ask, handoff=passed))), tools=Tools(healthy=False))
    go(world)
    assert facts(world, e.HandedOff) == [] and len(facts(world, e.Advised)) == 1


def test_a_verdict_may_be_handed_over_and_a_hold_is_then_explained_by_the_other():
    def play(ask):
        if about(ask) == "verdict" and " at ready, " in ask.messages[0]["content"]:
            passed = {"to": "qa-engineer", "reason": "failing-tests", "refs": shown(ask)[:1]}
            return reply(text(fitting(ask, answer="hold", handoff=passed)))
        return lazy(ask)

    world = toy(play)
    assert go(world).wait.reason_code == "hold"
    (advice,) = facts(world, e.Advised)
    assert (advice.step, advice.agent) == ("ready", "qa-engineer")
    append(world, e.HoldLifted("ready", "ceo", "t", "I know"))
    assert go(world).state.standing() == "done" and steps_done(world) == PLANNED


# --- the watch --------------------------------------------------------------------------------------------------------


def test_users_are_asked_about_once_and_never_for_longer_than_until_the_next_look():
    dues = []

    def play(ask):
        if " at watch, " in ask.messages[0]["content"]:
            looks = [event.at for event in world.journal.read("acme") if event.kind == "Sampled"]
            due = datetime.fromisoformat(looks[-1]).timestamp() + 20
            dues.append((ask.seconds, due - world.clock.time.timestamp()))
        return lazy(ask)

    world = toy(play)
    go(world)
    ((seconds, gap),) = dues
    assert 0 < seconds < gap


def test_a_look_that_is_due_is_waited_for_by_nobody():
    """An agent that takes its time is asked for another turn only where there is time before the next look."""
    clock, late = Clock(), []

    def play(ask):
        if " at watch, " in ask.messages[0]["content"]:
            clock.jump(9)
            return reply(call("evidence__list")) if turn(ask) < 5 else lazy(ask)
        return lazy(ask)

    def asked(ask):
        if " at watch, " in ask.messages[0]["content"]:
            looks = [event.at for event in world.journal.read("acme") if event.kind == "Sampled"]
            late.append(datetime.fromisoformat(looks[-1]).timestamp() + 20 - clock.time.timestamp())
        return play(ask)

    world = toy(asked, clock=clock)
    assert go(world).state.standing() == "done"
    assert late and min(late) > 2


@pytest.mark.parametrize(("severity", "held"), [("none", False), ("medium", False), ("high", True), ("critical", True)])
def test_a_grave_severity_in_a_watch_asks_a_person_and_rolls_nothing_back(severity, held):
    def play(ask):
        return (
            reply(text(fitting(ask, severity=severity))) if " at watch, " in ask.messages[0]["content"] else lazy(ask)
        )

    world = toy(play)
    standing = go(world)
    assert facts(world, e.Branched) == [] and state(world).watches["watch"].closed.outcome == "healthy"
    assert bool(standing.wait and standing.wait.reason_code == "hold") == held
    assert steps_done(world) == (PLANNED[:3] if held else PLANNED)


def test_a_rollback_in_a_watch_needs_the_gate_and_no_words():
    def play(ask):
        return (
            reply(text(fitting(ask, severity="critical", recommends="roll-back")))
            if about(ask) == "advice"
            else lazy(ask)
        )

    world = toy(play)
    go(world)
    assert [step for step in steps_done(world) if step in UNDO] == []


# --- histories that cannot be -----------------------------------------------------------------------------------------


CONSULTED = e.Consulted("ready", "release-manager", "verdict", "m", "0" * 64, "?")
ADVISING = replace(CONSULTED, about="advice")
ANSWERED = e.ModelAnswered(
    "ready", 0, "m", ({"type": "tool_use", "id": "a", "name": "x", "input": {}},), "tool_use", {}, 1, 0, 1
)
FINAL = replace(ANSWERED, content=({"type": "text", "text": "{}"},), stop="end_turn")
TOLD = e.ToolAnswered("ready", 0, "a", "x", {}, "said", failed=False)
ADVISED = e.Advised("ready", "release-manager", "advice", "failure", "low", "m", "", (), ("e-001",), "m")
HANDED = e.HandedOff("ready", "release-manager", "qa-engineer", "not-mine", ("e-001",), "m")
FELL = e.FellBack("ready", "release-manager", "x", "y")
SEEN = observed("health", "e-001", {"healthy": True})

MISSED = e.ModelMissed("ready", "release-manager", "model-unavailable", "down", 5)

IMPOSSIBLE = {
    "a second conversation at a step": (CONSULTED, CONSULTED),
    "a second question about the same trouble": (ADVISING, ADVISING),
    "a verdict that is asked for while trouble is explained": (ADVISING, CONSULTED),
    "a model that was missed and not asked": (MISSED,),
    "a question about nothing": (replace(CONSULTED, about="dinner"),),
    "a reply that nobody asked for": (ANSWERED,),
    "a reply of another turn": (CONSULTED, replace(ANSWERED, turn=1)),
    "the same turn twice": (CONSULTED, ANSWERED, TOLD, ANSWERED),
    "a reply before its calls were answered": (CONSULTED, ANSWERED, replace(FINAL, turn=1)),
    "a reply after the end": (CONSULTED, FINAL, replace(FINAL, turn=1)),
    "a result that nobody asked for": (TOLD,),
    "a result of a call that there is not": (CONSULTED, ANSWERED, replace(TOLD, call="b")),
    "a result twice": (CONSULTED, ANSWERED, TOLD, TOLD),
    "a fallback of nobody": (FELL,),
    "advice that nobody asked for": (ADVISED,),
    "advice where a verdict was asked for": (CONSULTED, ADVISED),
    "advice of somebody else": (ADVISING, replace(ADVISED, agent="qa-engineer")),
    "advice of no known severity": (ADVISING, replace(ADVISED, severity="tiny")),
    "advice of no known kind": (ADVISING, replace(ADVISED, kind="magic")),
    "advice on evidence that is not there": (ADVISING, replace(ADVISED, cites=("e-999",))),
    "a handoff of nobody": (HANDED,),
    "a handoff of somebody else": (ADVISING, replace(HANDED, giver="qa-engineer", receiver="conductor")),
    "a handoff to oneself": (ADVISING, replace(HANDED, receiver="release-manager")),
    "a handoff on evidence that is not there": (ADVISING, replace(HANDED, refs=("e-999",))),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_a_history_that_cannot_be_does_not_fold(name):
    given = (started(), SEEN, *IMPOSSIBLE[name])
    fold(chained(*given[:-1]))  # up to there it can be
    with pytest.raises(ImpossibleHistory):
        fold(chained(*given))


@pytest.mark.parametrize("fact", [CONSULTED, ANSWERED, TOLD, FELL])
def test_a_run_that_rests_takes_in_advice_and_nothing_else(fact):
    rests = (started(), SEEN, e.Refused("ready", "x", "y", "", (), ""))
    fold(chained(*rests, ADVISING, ANSWERED, TOLD, replace(FINAL, turn=1), HANDED, ADVISED))
    with pytest.raises(ImpossibleHistory):
        fold(
            chained(
                *rests,
                *((ADVISING, ANSWERED, TOLD, replace(FINAL, turn=1), ADVISED) if fact is not CONSULTED else ()),
                fact,
            )
        )


def test_these_facts_fold():
    found = fold(chained(started(), SEEN, ADVISING, ANSWERED, TOLD, replace(FINAL, turn=1), HANDED, ADVISED))
    assert found.consultations == {} and found.advice["ready"] == ADVISED and found.handoffs == [HANDED]


# --- what a review found ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usage", [Usage(2**53 - 1, 2**53 - 1, 2**53 - 1, 2**53 - 1), Usage(10**15, 0)])
def test_what_an_endpoint_claims_to_have_used_strands_no_run(usage):
    prices = {"claude-sonnet-5": Prices(999_999_000_000, 999_999_000_000, 999_999_000_000, 999_999_000_000)}
    wide = Budget(2**53 - 1, 10**6, 10**6)
    models = Models(budgets=dict.fromkeys(("step", "run", "day"), wide), prices=prices)
    world = toy(lambda ask: reply(text(fitting(ask)), usage=usage), models=models)
    assert go(world).state.standing() == "done" and steps_done(world) == PLANNED
    assert all(fact.tokens < 2**53 and fact.cost < 2**53 for fact in facts(world, e.ModelAnswered))
    assert fallen(world) == [] and by(world) == "claude-sonnet-5"  # and what it said is used all the same


def test_what_cannot_be_written_down_is_no_answer_and_the_run_goes_on():
    odd = Answer((text({"answer": "go"}), {"type": "thinking", "thinking": 2**60}), "end_turn", "m", Usage())
    world = toy(lambda _ask: odd)
    assert go(world).state.standing() == "done" and steps_done(world) == PLANNED
    assert set(fallen(world)) == {"model-malformed"}


def test_between_the_deployment_and_the_watch_nobody_is_asked_so_that_the_first_look_is_not_late():
    def slow_once_out(ask):
        world.clock.jump(200 if steps_done(world) != ["stage"] and about(ask) == "verdict" else 0)
        return lazy(ask)

    flow = workflow()
    (phase,) = flow.phases
    steps = {step.id: step for step in phase.steps}
    order = [name for name in steps if name != "verified"]
    order.insert(order.index("watch"), "verified")
    early = replace(phase, steps=tuple(replace(steps[name], needs=()) for name in order))
    flow = replace(flow, phases=(early,))
    journal = Journal()
    beginning = [started(workflow="toy", outline=outline(flow))]
    journal.append("acme", "r-1", beginning, "2026-11-21T09:00:00.000000+00:00")
    world = toy(slow_once_out, journal=journal)
    world.workflow = flow
    go(world)
    asked = [(fact.step, fact.about) for fact in facts(world, e.Consulted)]
    assert ("verified", "verdict") not in asked and ("watch", "watch") in asked
    assert next(fact.by for fact in facts(world, e.VerdictGiven) if fact.step == "verified") == "scripted"


def test_on_the_way_back_nobody_is_asked_before_production_is_back():
    world = toy(lambda _ask: DOWN, models=Models(outage="wait"))
    run = facts(world, e.Started)[0]
    ways = Journal()
    ways.append(
        "acme", "r-1", [replace(run, inputs={**run.inputs, "way_back": True})], "2026-11-21T09:00:00.000000+00:00"
    )
    world = toy(lambda _ask: DOWN, models=Models(outage="wait"), journal=ways)
    standing = go(world)
    assert standing.wait is None or standing.wait.reason_code != "model-unavailable"
    assert "ready" not in {fact.step for fact in facts(world, e.Consulted)}


def test_a_tool_that_takes_too_long_in_a_watch_is_left_behind():
    import time

    from pilothouse.engine.persona import _at_once

    def stuck():
        time.sleep(5)
        return "late", False

    began = time.monotonic()
    quick, late = _at_once([lambda: ("seen", False), stuck], 0.2)
    assert time.monotonic() - began < 3
    assert quick == ("seen", False) and late[1] and "not done within" in late[0]


def test_a_tool_that_breaks_is_told_to_the_model_and_ends_no_run():
    from pilothouse.engine.persona import _at_once

    def broken():
        raise ZeroDivisionError

    assert _at_once([broken], 5) == [("the look failed: ZeroDivisionError", True)]


def test_a_hold_after_a_lifted_one_holds_again():
    world = toy(lambda ask: reply(text(fitting(ask, answer="hold"))) if about(ask) == "verdict" else lazy(ask))
    assert go(world).wait.reason_code == "hold"
    append(world, e.HoldLifted("ready", "ceo", "t", "I know"))
    assert "ready" in state(world).lifted
    append(world, e.VerdictGiven("ready", "release-manager", "hold", ("something else",), (), "m"))
    assert "ready" not in state(world).lifted and go(world).wait.message.endswith("something else")


def test_a_hold_on_evidence_that_was_read_again_meanwhile_stays_a_hold():
    broken = []

    def play(ask):
        if not broken:
            broken.append(shown(ask)[0])
            return DOWN
        return reply(text(fitting(ask, answer="hold"))) if about(ask) == "verdict" else lazy(ask)

    world = toy(play, models=Models(outage="wait"))
    assert go(world).wait.reason_code == "model-unavailable"
    world.clock.jump(1000)  # older than the gate takes
    assert go(world).wait.reason_code == "hold"
    (held,) = [fact for fact in facts(world, e.VerdictGiven) if fact.step == "ready"]
    assert held.answer == "hold" and held.cites == (broken[0],)


def test_a_worker_that_comes_only_when_a_look_is_due_lets_users_be_asked_about_too():
    world = toy(lazy)
    for _ in range(40):
        standing = advance("r-1", world)
        if standing.wait is None:
            break
        if standing.wait.checkpoint:
            approve(world)
        elif standing.wait.reason_code == "watch":
            world.clock.jump((datetime.fromisoformat(standing.wait.until) - world.clock.time).total_seconds())
    assert [fact.about for fact in facts(world, e.Advised)] == ["watch"]


def test_advice_takes_no_lease_and_all_of_its_hops_have_one_time():
    def slow(ask):
        world.clock.jump(40 if about(ask) == "advice" else 0)
        return handing("release-manager", "qa-engineer", "devops-engineer", "support-engineer")(ask)

    held = []
    world = toy(slow, tools=Tools(healthy=False))
    world.lease = lambda: held.append("asked for")
    before = world.clock.time
    standing = advance("r-1", world)
    held.clear()
    explain(standing, world)
    assert held == [] and (world.clock.time - before).total_seconds() < 130
    assert 1 <= len(facts(world, e.Advised)) < 4


def test_replies_that_never_come_are_counted_too():
    limits = {**budgets(), "run": Budget(10**9, 5, 10**6)}
    world = toy(lambda _ask: DOWN, models=Models(outage="wait", budgets=limits))
    for _ in range(10):
        standing = go(world)
        world.clock.jump(60)
    assert len(world.thinking.brain.asked) <= 5 and standing.state.standing() == "done"


def test_a_run_over_midnight_charges_each_day_its_own():
    limits = {**budgets(), "day": Budget(10**9, 4, 10**6)}
    world = toy(helpful, models=Models(budgets=limits), clock=Clock(datetime(2026, 11, 21, 23, 59, 30, tzinfo=UTC)))
    assert go(world).state.standing() == "done"
    days = [event.at[:10] for event in world.journal.read("acme") if isinstance(event.fact, e.ModelAnswered)]
    assert max(days.count(day) for day in set(days)) <= 4 and len(set(days)) == 2


@pytest.mark.parametrize("name", ["scripted", "guard"])
def test_a_model_that_calls_itself_something_else_is_called_as_configured(name):
    world = toy(lambda ask: replace(lazy(ask), model=name))
    go(world)
    assert {fact.by for fact in facts(world, e.VerdictGiven) if fact.step == "ready"} == {"claude-sonnet-5"}
