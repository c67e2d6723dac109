"""Laws about agents on a model: to whom they hand over, and what they may use up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.worlds import PERSONAS, PLANNED, Tools, call, facts, fitting, go, reply, role_of, text, toy, turn
from laws.worlds import LAW
from pilothouse import events as e
from pilothouse.guard import handoff
from pilothouse.settings import Budget, Models, PersonaModel

ANYBODY = st.sampled_from([*PERSONAS, "ceo", "root", ""])
REASONS = st.sampled_from([*handoff.REASONS, "because I say so", ""])
REFS = st.lists(st.sampled_from(["e-001", "e-002", "e-999", "../e-001"]), max_size=2)


@LAW
@given(st.lists(st.tuples(ANYBODY, REASONS, REFS), min_size=1, max_size=5))
def test_i36_a_question_is_handed_over_along_allowed_edges_with_a_known_reason_and_evidence(passes):
    queue = list(passes)

    def play(ask):
        receiver, reason, refs = queue.pop(0) if queue else ("", "", [])
        return reply(text(fitting(ask, handoff={"to": receiver, "reason": reason, "refs": refs})))

    world = toy(play, tools=Tools(healthy=False))
    go(world)
    found = facts(world, e.HandedOff)
    assert len(found) <= handoff.MOST
    for fact in found:
        assert fact.receiver in role_of(fact.giver).handoffs and fact.reason_code in handoff.REASONS
        assert set(fact.refs) <= {item.evidence for item in facts(world, e.Observed)}


@LAW
@given(st.sampled_from(["step", "run", "day"]), st.integers(1, 6), st.integers(2_000, 40_000))
def test_i38_what_models_use_up_is_bounded_and_then_the_scripted_agents_go_on(scope, turns, tokens):
    def endless(ask):
        return reply(call("evidence__list", identity=f"toolu_{turn(ask)}"))

    wide = Budget(10**9, 10**6, 10**6)
    budgets = {name: Budget(tokens, turns, 10**6) if name == scope else wide for name in ("step", "run", "day")}
    personas = {name: PersonaModel(turns=40, max_tokens=500) for name in PERSONAS}
    world = toy(endless, models=Models(budgets=budgets, personas=personas))
    go(world, most=200)
    said = facts(world, e.ModelAnswered)
    counted = [[fact for fact in said if fact.step == step] for step in {fact.step for fact in said}]
    for group in counted if scope == "step" else [said]:
        assert len(group) <= turns and sum(fact.tokens for fact in group) <= tokens
    done = [fact.step for fact in facts(world, e.Done)]
    assert done == PLANNED
